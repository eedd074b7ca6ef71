import { explain } from '../../core/model/explain.js'
import type { TaskRef } from '../../core/model/task.js'
import type { Orders } from './solve-items.js'
import { counted, summary } from './summary.js'
import type { Tally } from './stats.js'
import { EXIT, exitOfSignal } from '../shared/exit-code.js'
import { WrongUsage, messageOf, tell, type World } from '../shared/context.js'

/** How a batch ended. */
export interface Ending {
  readonly tally: Tally
  /** What went wrong with the batch as a whole. */
  readonly failure: unknown
  readonly signal: NodeJS.Signals | undefined
  /** Nothing was left to be taken. */
  readonly isExhausted: boolean
}

const SIGNAL_NAMES: Readonly<Partial<Record<NodeJS.Signals, string>>> = { SIGINT: 'Ctrl-C' }

const reasonOf = ({ tally, failure, signal }: Ending): string | undefined => {
  if (tally.account) return explain(tally.account)
  if (failure !== undefined) return messageOf(failure)
  if (tally.unwritten > 0)
    return `${counted(tally.unwritten, 'outcome')} could not be written: nobody reads them, or the disk is full.`
  return signal && `Stopped by ${SIGNAL_NAMES[signal] ?? signal}.`
}

const notTaken = ({ places: { input } }: Orders, { tally, isExhausted }: Ending): string => {
  if (isExhausted) return 'All items were taken.'
  const left = input.total === undefined ? undefined : Math.max(0, input.total - tally.over)
  return left === undefined ? 'The rest was not taken.' : `Not taken: ${counted(left, 'item')}.`
}

const isLeft = ({ tally, failure, isExhausted }: Ending): boolean =>
  !isExhausted || failure !== undefined || tally.open > 0 || tally.untold.length > 0 || tally.account !== undefined

const resumable = (refs: ReadonlyArray<TaskRef>): ReadonlyArray<string> =>
  refs.length === 0
    ? []
    : [
        'Paid for, and not told in the output. For each: rx-captcha resume TASKID --created-at MS',
        ...refs.map(({ taskId, createdAt }) => `  ${taskId}  ${createdAt}`)
      ]

/** How to go on without a journal. */
const byHand = ({ places }: Orders, { tally, isExhausted }: Ending): ReadonlyArray<string> => [
  ...resumable(tally.untold),
  ...(tally.open > tally.untold.length
    ? [
        'Open tasks are paid for; the output tells each as error.ref. To go on with one:',
        '  rx-captcha resume TASKID --created-at MS'
      ]
    : []),
  ...(isExhausted
    ? []
    : [
        places.isRemembered
          ? 'The same command goes on: it leaves out what --out has a line of, unless unpaid.'
          : 'The same command would begin anew, and pay anew: take out what has a line first,\nor use --journal and --out.'
      ])
]

const howToGoOn = (orders: Orders, ending: Ending): ReadonlyArray<string> => {
  if (!isLeft(ending)) return []
  if (orders.embedded) return ['Its tasks were those of the embedded emulator, which ends with this command.']
  if (!orders.places.journal) return byHand(orders, ending)
  return ['To go on, with the same input; what is paid for is not paid again:', `  ${orders.commandLine}`]
}

const exitOf = ({ tally, failure, signal, isExhausted }: Ending): number => {
  if (signal && (!isExhausted || tally.open > 0)) return exitOfSignal(signal)
  const ofAll = failure === undefined && tally.unwritten === 0 && !tally.account ? EXIT.solved : EXIT.unpaid
  return Math.max(tally.worstExit, tally.untold.length > 0 ? EXIT.paid : ofAll)
}

/** Tells on stderr what became of a batch and how to go on; gives the exit code. */
export const leaving = ({ stderr }: World, orders: Orders, ending: Ending): number => {
  const { tally, failure } = ending
  // Nothing was taken, and somebody only has to correct the command.
  if (failure instanceof WrongUsage && tally.over === 0) throw failure
  const reason = reasonOf(ending)
  const tookMs = orders.scheduler.now() - tally.startedAt
  const words = [...(reason === undefined ? [] : [reason, notTaken(orders, ending)]), ...howToGoOn(orders, ending)]
  tell(stderr, [summary(tally, tookMs), ...(words.length > 0 ? ['', ...words] : [])].join('\n'))
  return exitOf(ending)
}
