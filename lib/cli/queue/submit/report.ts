import {
  failuresText,
  heading,
  notPulled,
  progressRows,
  resumeText,
  timesText,
  type BatchEnd
} from '../../batch/report.js'
import type { BatchStats } from '../../batch/stats.js'
import { WrongUsage, printLine, type CliContext } from '../../shared/context.js'
import { EXIT, exitCodeOfSignal } from '../../shared/exit-code.js'
import type { Row } from '../../shared/progress.js'
import { counted, grouped, messageOf } from '../../shared/text.js'

/** What the progress display of a batch in a queue shows. */
export const submitRows = (stats: BatchStats, total: number | undefined, elapsedMs: number): ReadonlyArray<Row> => {
  const { active, solved, failed, skipped } = stats
  const counts = `${active} in the queue  ${solved} solved  ${failed} failed`
  return [
    ...progressRows(stats, total, elapsedMs).slice(0, 1),
    { text: skipped > 0 ? `${counts}  ${skipped} done before` : counts }
  ]
}

/** How a batch in a queue ended. */
export type SubmitEnd = Omit<BatchEnd, 'service' | 'maxTasks'>

/** Prints what became of the items, and how to fetch the outcomes of the others; returns the exit code. */
export const printSubmitReport = ({ stderr }: CliContext, end: SubmitEnd): number => {
  const { stats, failure } = end
  // Nothing was done, so the user has to correct the command and nothing else.
  if (failure instanceof WrongUsage && stats.done === 0) throw failure
  const remarks = [...whyStopped(end), ...howToFetch(end)]
  printLine(stderr, [...submitSummary(end), ...(remarks.length > 0 ? ['', ...remarks] : [])].join('\n'))
  return submitExitCode(end)
}

const submitExitCode = ({ stats, signal }: SubmitEnd): number => {
  const isComplete = stats.isExhausted && stats.active === 0
  if (signal && !isComplete) return exitCodeOfSignal(signal)
  const lowest = stats.unreported.length > 0 ? EXIT.paid : isComplete ? EXIT.solved : EXIT.unpaid
  return Math.max(stats.worstExit, lowest)
}

const submitSummary = ({ stats, elapsedMs }: SubmitEnd): ReadonlyArray<string> => {
  const { created, inDoubt } = stats
  const perhaps = inDoubt > 0 ? `, and perhaps ${grouped(inDoubt)} more` : ''
  return [
    heading(stats, elapsedMs),
    `Paid for: ${counted(created, 'task')}${perhaps}.`,
    ...timesText(stats),
    ...failuresText(stats)
  ]
}

const whyStopped = (end: SubmitEnd): ReadonlyArray<string> => {
  const { stats, failure, signal } = end
  if (stats.writeFailures > 0)
    return [`${counted(stats.writeFailures, 'outcome')} could not be written: ${messageOf(failure)}.`, notPulled(end)]
  if (failure !== undefined) return [messageOf(failure), notPulled(end)]
  if (!signal || (stats.isExhausted && stats.active === 0)) return []
  return [`Stopped by ${signal === 'SIGINT' ? 'Ctrl-C' : signal}.`, notPulled(end)]
}

const howToFetch = ({ stats, commandLine }: SubmitEnd): ReadonlyArray<string> => {
  const { active, isExhausted, unreported } = stats
  const inQueue =
    active > 0 ? [`Still in the queue: ${counted(active, 'item')}. Workers solve them whether or not you wait.`] : []
  const again =
    active > 0 || !isExhausted
      ? [
          'To fetch the outcomes, run the same command again; no task is paid for twice, but a token',
          'that is not fetched while it is valid is lost:',
          `  ${commandLine}`
        ]
      : []
  return [...inQueue, ...again, ...resumeText(unreported, [])]
}
