import { isJobError } from '../../bullmq/producer/job-error.js'
import type { TaskRef } from '../../core/model/task.js'
import { WrongUsage, printLine, type CliContext } from '../shared/context.js'
import { EXIT, exitCodeOfSignal } from '../shared/exit-code.js'
import { assumedText, explainUnlessResumable, resumeCommand, type ServiceReach } from '../shared/explain.js'
import type { Row } from '../shared/progress.js'
import { counted, durationText, grouped, messageOf, seconds } from '../shared/text.js'
import type { Input } from '../input/input.js'
import type { BatchStats, Failures } from './stats.js'

/** What the progress display shows. */
export const progressRows = (stats: BatchStats, total: number | undefined, elapsedMs: number): ReadonlyArray<Row> => {
  const { solved, failed, created, skipped, active, done, pausedMs } = stats
  // Skipped items take no time, so they say nothing about the items to come.
  const perMs = elapsedMs > 0 ? (solved + failed) / elapsedMs : 0
  const rate = `${(perMs * 1_000).toFixed(perMs < 0.01 ? 1 : 0)}/s`
  const left = total !== undefined && perMs > 0 ? `${durationText((total - done) / perMs)} left` : ''
  const counts = [`${active} active`, ...endedTexts(stats), `${created} paid`].join('  ')
  return [
    total === undefined
      ? { text: `${counted(done, 'item')}  ${rate}` }
      : { text: [`${done}/${total}`, rate, left].filter(Boolean).join('  '), share: Math.min(1, done / (total || 1)) },
    {
      text: [
        counts,
        ...(skipped > 0 ? [`${skipped} done before`] : []),
        ...(pausedMs > 0 ? [`next try in ${Math.ceil(pausedMs / 1_000)} s`] : [])
      ].join('  ')
    }
  ]
}

/** How a batch ended, wherever its tasks were solved. */
export interface EndedBatch {
  readonly stats: BatchStats
  /** What stopped the batch as a whole. */
  readonly failure: unknown
  readonly signal: NodeJS.Signals | undefined
  readonly elapsedMs: number
  readonly files: { readonly input: Pick<Input, 'total'> }
  readonly commandLine: string
}

/** How a batch ended whose tasks were solved in this process. */
export interface BatchEnd extends EndedBatch {
  readonly files: EndedBatch['files'] & { readonly journal: unknown }
  readonly service: ServiceReach
  readonly maxTasks?: number | undefined
}

/** Prints what became of a batch and how to continue it; returns the exit code. */
export const printReport = (context: CliContext, end: BatchEnd): number => {
  printSummary(context, end, { paidName: 'new task', reason: stopReasonOf(end), advice: howToContinue(end) })
  return batchExitCode(end)
}

interface Remarks {
  /** The name of the paid tasks in the summary. */
  readonly paidName: string
  /** Why the batch was stopped, if it was. */
  readonly reason: string | undefined
  /** How to continue. */
  readonly advice: ReadonlyArray<string>
}

/** Prints the counts of a batch, then the remarks. Throws the failure if the user has to correct the command and nothing else. */
export const printSummary = ({ stderr }: CliContext, end: EndedBatch, { paidName, reason, advice }: Remarks): void => {
  const { stats, failure, elapsedMs } = end
  if (failure instanceof WrongUsage && stats.done === 0) throw failure
  const { created, perhapsPaid, assumed } = stats
  const perhaps = perhapsPaid > 0 ? `, and perhaps ${grouped(perhapsPaid)} more` : ''
  const paid = [`Paid for: ${counted(created, paidName)}${perhaps}.`, ...assumedText(assumed)]
  const summary = [heading(stats, elapsedMs), ...paid, ...timesText(stats), ...failuresText(stats)]
  const remarks = [...(reason === undefined ? [] : [reason, notPulled(end)]), ...advice]
  printLine(stderr, [...summary, ...(remarks.length > 0 ? ['', ...remarks] : [])].join('\n'))
}

const batchExitCode = ({ stats, failure, signal }: BatchEnd): number => {
  if (signal && (!stats.isExhausted || stats.resumable > 0)) return exitCodeOfSignal(signal)
  const isComplete = stats.isExhausted && failure === undefined && stats.writeFailures === 0 && !stats.stoppedBy
  return Math.max(stats.worstExit, stats.unreported.size > 0 ? EXIT.paid : isComplete ? EXIT.solved : EXIT.unpaid)
}

/** How the items ended. A task that can be resumed may still be solved. */
export const endedTexts = ({ solved, failed, resumable }: BatchStats): ReadonlyArray<string> => [
  `${grouped(solved)} solved`,
  `${grouped(failed - resumable)} failed`,
  ...(resumable > 0 ? [`${grouped(resumable)} to be resumed`] : [])
]

const heading = (stats: BatchStats, elapsedMs: number): string => {
  const { skipped, failedBefore, repeated, done } = stats
  const before = `${grouped(skipped)} done before${failedBefore > 0 ? ` (${grouped(failedBefore)} failed)` : ''}`
  const parts = [
    ...endedTexts(stats),
    ...(skipped > 0 ? [before] : []),
    ...(repeated > 0 ? [counted(repeated, 'repeated id')] : [])
  ]
  return `${counted(done, 'item')} in ${durationText(elapsedMs)}: ${parts.join(', ')}.`
}

const timesText = ({ times }: BatchStats): ReadonlyArray<string> => {
  if (times.count === 0) return []
  const [half, most] = [times.percentile(50), times.percentile(95)].map(seconds)
  return [`Time to token: half within ${half} s, 95 % within ${most} s, all within ${seconds(times.max)} s.`]
}

const failuresText = (stats: BatchStats): ReadonlyArray<string> =>
  stats.failures.size === 0
    ? []
    : ['', 'Not solved:', ...mostFirst(stats.failures).map(failureText), ...exampleText(stats)]

type NamedFailures = readonly [name: string, failures: Failures]

const mostFirst = (failures: BatchStats['failures']): ReadonlyArray<NamedFailures> =>
  [...failures].sort(([, one], [, other]) => other.count - one.count)

/** One failure in full. A code of the service says enough by itself, and what stopped the batch is explained below. */
const exampleText = ({ failures, stoppedBy }: BatchStats): ReadonlyArray<string> => {
  for (const [, { first, lines }] of stoppedBy ? [] : mostFirst(failures))
    if (first._tag !== 'Interrupted' && !('errorCode' in first) && !isJobError(first))
      return [`Line ${lines[0]}: ${explainUnlessResumable(first)}`]
  return []
}

const MAX_WIDTH = 79

const failureText = ([name, { count, lines }]: NamedFailures): string => {
  const where = `line${count === 1 ? '' : 's'} ${lines.join(', ')}${count > lines.length ? ', …' : ''}`
  // An error code comes from the service and may have any length.
  return `  ${String(count).padStart(7)}  ${name.slice(0, 36).padEnd(36)}  ${where}`.slice(0, MAX_WIDTH)
}

const stopReasonOf = (end: BatchEnd): string | undefined => {
  const { stats, maxTasks = Infinity } = end
  if (stats.stoppedBy?._tag === 'NotCreated') return troubleText(stats)
  if (stats.stoppedBy) return explainUnlessResumable(stats.stoppedBy)
  const stop = whyStopped(end)
  if (stop !== undefined) return stop
  if (!stats.isExhausted && stats.created + stats.perhapsCreated + stats.assumed >= maxTasks)
    return `Stopped by --max-tasks: the limit is ${counted(maxTasks, 'paid task')} per run.`
  // The only reason left is unreadable replies; perhaps no item was left that ended as `NotCreated` because of them.
  return stats.isExhausted ? undefined : troubleText(stats)
}

/** The error or the signal that stopped a batch. */
export const whyStopped = ({ stats, failure, signal }: EndedBatch): string | undefined => {
  if (stats.writeFailures > 0)
    return `${counted(stats.writeFailures, 'outcome')} could not be written: ${messageOf(failure)}.`
  if (failure !== undefined) return messageOf(failure)
  return signal && `Stopped by ${signal === 'SIGINT' ? 'Ctrl-C' : signal}.`
}

const troubleText = ({ lastTrouble }: BatchStats): string =>
  [
    'The batch was stopped because several createTask calls in a row got no usable reply.',
    ...(lastTrouble ? [`The last one: ${explainUnlessResumable(lastTrouble)}`] : []),
    ...(lastTrouble?._tag === 'CreateUnknown' && lastTrouble.excerpt !== undefined
      ? ['The beginning of the reply is in the output as error.excerpt; it may contain a task id.']
      : [])
  ].join('\n')

const notPulled = ({ stats, files }: EndedBatch): string => {
  const { total } = files.input
  if (stats.isExhausted) return 'The whole input was read.'
  return total === undefined
    ? 'The rest of the input was not read.'
    : `Not read: ${counted(Math.max(0, total - stats.done - stats.active), 'item')}.`
}

const howToContinue = ({ stats, failure, files, service, commandLine }: BatchEnd): ReadonlyArray<string> => {
  const { isExhausted, resumable, unreported, uncreated } = stats
  const isOver = isExhausted && failure === undefined && !stats.stoppedBy && resumable + unreported.size === 0
  if (service.isEmbedded)
    return isOver
      ? []
      : ['The tasks belonged to the embedded emulator, which costs nothing and ends with this command.']
  if (files.journal) {
    const again = isOver ? retryText(uncreated) : 'To continue, run the same command again; no task is paid for twice:'
    return [
      // The journal may have failed too, and then nothing else knows these tasks.
      ...(failure === undefined ? [] : resumeText(unreported, service.flags)),
      ...(again === undefined ? [] : [again, `  ${commandLine}`]),
      ...retryFailedText(stats)
    ]
  }
  if (isOver) return []
  return [
    ...(resumable > stats.lateIds
      ? ['Active tasks are paid for; each message in the output says how to resume it.']
      : []),
    ...resumeText(unreported, service.flags),
    ...(isExhausted || stats.created + stats.perhapsPaid === 0
      ? []
      : [
          'The same command would pay again for tasks that are done: remove them from the input,',
          'and use --out FILE, so that the batch can be continued.'
        ])
  ]
}

const retryText = (uncreated: number): string | undefined => {
  const [were, them] = uncreated === 1 ? ['was', 'it'] : ['were', 'them']
  return uncreated > 0
    ? `${counted(uncreated, 'task')} ${were} not created. To try ${them} again, run the same command:`
    : undefined
}

const retryFailedText = ({ toPayAgain }: BatchStats): ReadonlyArray<string> => {
  const [are, them] = toPayAgain === 1 ? ['is', 'it'] : ['are', 'them']
  return toPayAgain > 0
    ? [`${counted(toPayAgain, 'task')} failed or ${are} in doubt. To pay for ${them} again, add --retry-failed.`]
    : []
}

export const resumeText = (refs: ReadonlySet<TaskRef>, flags: ReadonlyArray<string>): ReadonlyArray<string> =>
  refs.size === 0
    ? []
    : [
        'These tasks are paid for and not in the output. Resume each at no further cost:',
        ...[...refs].map((ref) => `  ${resumeCommand(ref, flags)}`)
      ]
