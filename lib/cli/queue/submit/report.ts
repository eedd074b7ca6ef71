import { endedTexts, printSummary, progressRows, resumeText, whyStopped, type EndedBatch } from '../../batch/report.js'
import type { BatchStats } from '../../batch/stats.js'
import type { CliContext } from '../../shared/context.js'
import { EXIT, exitCodeOfSignal } from '../../shared/exit-code.js'
import type { Row } from '../../shared/progress.js'
import { counted } from '../../shared/text.js'

/** What the progress display of a batch in a queue shows. */
export const submitRows = (stats: BatchStats, total: number | undefined, elapsedMs: number): ReadonlyArray<Row> => {
  const { active, skipped } = stats
  const counts = [`${active} in the queue`, ...endedTexts(stats)].join('  ')
  return [
    ...progressRows(stats, total, elapsedMs).slice(0, 1),
    { text: skipped > 0 ? `${counts}  ${skipped} done before` : counts }
  ]
}

/** How a batch ended whose tasks are solved by the workers of a queue. */
interface SubmitEnd extends EndedBatch {
  /** How many active items may not be in the queue. */
  readonly unconfirmed: number
}

/** Prints what became of the items, and how to fetch the outcomes of the others; returns the exit code. */
export const printSubmitReport = (context: CliContext, end: SubmitEnd): number => {
  const { stats, signal } = end
  const isComplete = stats.isExhausted && stats.active === 0
  const reason = whyStopped({ ...end, signal: isComplete ? undefined : signal })
  printSummary(context, end, { paidName: 'task', reason, advice: howToFetch(end) })
  if (signal && !isComplete) return exitCodeOfSignal(signal)
  const lowest = stats.unreported.size > 0 ? EXIT.paid : isComplete ? EXIT.solved : EXIT.unpaid
  return Math.max(stats.worstExit, lowest)
}

const howToFetch = ({ stats, commandLine, unconfirmed }: SubmitEnd): ReadonlyArray<string> => {
  const { active, isExhausted, unreported } = stats
  const inQueue = active - unconfirmed
  const left = [
    ...(inQueue > 0
      ? [`Still in the queue: ${counted(inQueue, 'item')}. Workers solve them whether or not you wait.`]
      : []),
    ...(unconfirmed > 0
      ? [`Not confirmed by Redis, and perhaps not in the queue: ${counted(unconfirmed, 'item')}.`]
      : [])
  ]
  const again =
    active > 0 || !isExhausted
      ? [
          'To fetch the outcomes, run the same command again at no further cost. A token that is not',
          'fetched while it is valid is lost:',
          `  ${commandLine}`
        ]
      : []
  return [...left, ...again, ...resumeText(unreported, [])]
}
