import type { SolveError } from '../../core/model/error.js'

/** What the command ends with. */
export const EXIT = { solved: 0, unpaid: 1, usage: 2, paid: 3, perhaps: 4 } as const

const BY_PAID = { no: EXIT.unpaid, yes: EXIT.paid, unknown: EXIT.perhaps } as const

export const exitOf = (error: SolveError): number => (error._tag === 'InvalidTask' ? EXIT.usage : BY_PAID[error.paid])

const NUMBERS: Readonly<Partial<Record<NodeJS.Signals, number>>> = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 }

/** As a shell reports a program that a signal ended. */
export const exitOfSignal = (signal: NodeJS.Signals): number => 128 + (NUMBERS[signal] ?? 0)

export const EXIT_HELP = `Exit codes:
  0    solved
  1    failed, nothing was paid
  2    wrong usage: the options or the fields of the task
  3    failed though paid: the service ended the task, or it can be resumed
  4    failed, perhaps paid: no readable answer came to createTask
  130  interrupted by Ctrl-C (143 by SIGTERM, 129 by SIGHUP)`
