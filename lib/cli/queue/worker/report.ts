import type { SolveError } from '../../../core/model/error.js'
import type { SolverCounts } from '../../../core/model/options.js'
import type { TaskRef } from '../../../core/model/task.js'
import { assumedText, explainUnlessResumable, howToResume, type ServiceReach } from '../../shared/explain.js'
import type { Row } from '../../shared/progress.js'
import { counted, durationText, grouped } from '../../shared/text.js'
import type { WorkerStats } from './stats.js'

/** What the progress display of a worker shows. */
export const workerRows = (stats: WorkerStats, { open, waiting }: SolverCounts): ReadonlyArray<Row> => [
  { text: `${open} active${waiting > 0 ? `  ${waiting} waiting` : ''}  ${countsText(stats)}` }
]

const countsText = ({ solved, failed, inDoubt, handedOver }: WorkerStats): string =>
  [
    ...[`${grouped(solved)} solved`, `${grouped(failed)} failed`],
    ...(inDoubt > 0 ? [`${grouped(inDoubt)} in doubt`] : []),
    ...(handedOver > 0 ? [`${grouped(handedOver)} handed over`] : [])
  ].join('  ')

/** Why a worker has paused its queue. */
export const pauseReason = (error: SolveError): string =>
  error._tag === 'NotCreated' && error.reason === 'unreadable' ? UNREADABLE : explainUnlessResumable(error)

const UNREADABLE =
  'Several createTask calls in a row got no usable reply. See the errors of the failed jobs; their tasks may be paid for.'

/** A paid task that no worker may find. */
export const unrecordedText = (ref: TaskRef, service: ServiceReach): string =>
  `Redis has not confirmed the id of a paid task, so no worker may find it. ${howToResume(ref, service, TO_RESUME)}`

const TO_RESUME = 'Resume it at no further cost: '

/** How a worker ended. */
export interface WorkerEnd {
  readonly stats: WorkerStats
  readonly elapsedMs: number
  /** Whether it left without waiting for its jobs. */
  readonly hasLeft: boolean
  /** After which time other workers notice that this one is gone. */
  readonly noticedAfterMs: number
  /** Whether its tasks belonged to the embedded emulator. */
  readonly isEmbedded: boolean
}

/** What a worker has done, in a few lines. */
export const workerSummary = ({ stats, elapsedMs, hasLeft, noticedAfterMs, isEmbedded }: WorkerEnd): string => {
  const { created, assumed, resumed, handedOver, failures } = stats
  return [
    `Closed after ${durationText(elapsedMs)}: ${countsText(stats).replaceAll('  ', ', ')}.`,
    `Paid for: ${counted(created, 'new task')}.${resumed > 0 ? ` Resumed: ${counted(resumed, 'paid task')}.` : ''}`,
    ...assumedText(assumed),
    ...(failures.size > 0 ? ['', 'Failed:', ...failureLines(failures)] : []),
    ...(hasLeft ? ['', `${LEFT} ${durationText(noticedAfterMs)}.`] : []),
    ...(handedOver > 0 && isEmbedded ? ['', EMBEDDED] : [])
  ].join('\n')
}

const LEFT = 'Not all jobs were handed over: another worker takes over the rest within'

const EMBEDDED =
  'Its tasks belonged to the embedded emulator, which ends with this command: no other worker can resume them.'

const failureLines = (failures: ReadonlyMap<string, number>): ReadonlyArray<string> =>
  [...failures]
    .sort(([, one], [, other]) => other - one)
    .map(([name, count]) => `  ${String(count).padStart(7)}  ${name}`)
