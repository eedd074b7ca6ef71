import type { ItemError } from './item-error.js'

/** The exit codes of the command. */
export const EXIT = { solved: 0, unpaid: 1, usage: 2, paid: 3, perhaps: 4 } as const

export const exitCodeOf = (error: ItemError): number =>
  error._tag === 'InvalidTask' ? EXIT.usage : EXIT_BY_PAID[error.paid]

const EXIT_BY_PAID = { no: EXIT.unpaid, yes: EXIT.paid, unknown: EXIT.perhaps } as const

/** The exit code by which shells report a program that a signal ended. */
export const exitCodeOfSignal = (signal: NodeJS.Signals): number => 128 + (SIGNAL_NUMBERS[signal] ?? 0)

const SIGNAL_NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }

export const EXIT_HELP = `Exit codes:
  0    solved
  1    failed, nothing was paid; or resume: the service does not know the id
  2    usage error: a bad option or task field
  3    failed after payment: the service ended the task, or it can be resumed
  4    failed, maybe paid: createTask was sent, but no task id could be read
  130  interrupted by Ctrl-C (143 by SIGTERM, 129 by SIGHUP)`
