import { advise } from '../../core/model/explain.js'
import type { SolveError } from '../../core/model/error.js'

/**
 * What BullMQ does with a job whose solve ended with an error.
 *
 * - `fail`: the job fails for good
 * - `retry`: nothing was paid; BullMQ tries it again after its back-off, as `attempts` allows
 * - `resume`: the task is paid for; the job goes back to the head of the queue, after `TimedOut` without a wait
 * - `handOver`: the solver was closed; the job goes back to the head of the queue, for another worker
 * - `hold`: the service asked for a wait; the whole queue waits, and the job goes back to its head
 * - `pause`: no job can succeed until a person has acted; the queue is paused, and the job goes back to its head
 *
 * @since 0.1.0
 */
export type JobVerdict = 'fail' | 'retry' | 'resume' | 'handOver' | 'hold' | 'pause'

/**
 * The {@link JobVerdict} about an error. A job that goes back to the queue keeps its attempts.
 *
 * @since 0.1.0
 */
export const jobVerdict = (error: SolveError): JobVerdict => {
  switch (error._tag) {
    case 'Interrupted':
      return 'handOver'
    case 'NotCreated':
      return VERDICT_ON_NOT_CREATED[error.reason]
    case 'Refused':
    case 'InvalidTask':
    case 'CreateUnknown':
    case 'TaskFailed':
    case 'BadReply':
    case 'TimedOut':
      return byAdvice(error)
  }
}

const VERDICT_ON_NOT_CREATED = {
  dns: 'retry',
  connect: 'retry',
  deadline: 'retry',
  journal: 'retry',
  closed: 'handOver',
  tls: 'pause',
  account: 'pause',
  unreadable: 'pause'
} as const

const byAdvice = (error: SolveError): JobVerdict => {
  switch (advise(error)) {
    case 'resume':
      return 'resume'
    case 'repeat':
      // Attempts are counted, so that one task that is refused each time does not hold the others back without end.
      return error._tag === 'Refused' && error.kind === 'task' ? 'retry' : 'hold'
    case 'fix-account':
    case 'fix-setup':
      return 'pause'
    case 'pay-again':
    case 'fix-task':
    case 'decide':
      return 'fail'
  }
}
