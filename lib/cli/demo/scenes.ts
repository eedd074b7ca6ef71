import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../../core/model/error.js'
import type { TaskEvent } from '../../core/model/event.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { Solved } from '../../core/model/task.js'

/** What was arranged for one task, and how it is to end. */
export interface Scene {
  readonly about: string
  readonly ends: 'Solved' | SolveError['_tag']
  /** What else has to be seen on the way. */
  readonly meets?: 'unavailable' | 'network'
}

export const SCENES: ReadonlyArray<Scene> = [
  { about: 'undisturbed', ends: 'Solved' },
  { about: 'told to come later', ends: 'Solved', meets: 'unavailable' },
  { about: 'a poll is lost', ends: 'Solved', meets: 'network' },
  { about: 'the service fails', ends: 'TaskFailed' },
  { about: 'its id is lost', ends: 'CreateUnknown' },
  { about: 'undisturbed', ends: 'Solved' }
]

/** The events of a task, and that it was taken up. */
export type Happened = TaskEvent<RecaptchaV2Solution> | { readonly _tag: 'Begun'; readonly at: number }

/** What is known of one task. */
export interface Row {
  readonly name: string
  readonly beganAt?: number
  readonly endedAt?: number
  readonly taskId?: string
  readonly asked: number
  readonly met: ReadonlyArray<string>
  readonly result?: E.Either<SolveError, Solved<RecaptchaV2Solution>>
}

export const blank = ({ about }: Scene, index: number): Row => ({
  name: `${index + 1}  ${about.padEnd(18)}`,
  asked: 0,
  met: []
})

export const next = (row: Row, event: Happened): Row => {
  switch (event._tag) {
    case 'Begun':
      return { ...row, beganAt: event.at }
    case 'Created':
      return { ...row, taskId: event.ref.taskId }
    case 'Polled':
      return { ...row, asked: event.polls }
    case 'Delayed':
      return { ...row, met: [...row.met, event.reason] }
    case 'AssumedNotCreated':
      return row
    case 'Settled':
      return { ...row, endedAt: event.at, result: event.result }
  }
}

export const tagOf = ({ result }: Row): Scene['ends'] | undefined =>
  result && (E.isLeft(result) ? result.left._tag : 'Solved')

/** Of one use, and not ours to show whole. */
const cut = (text: string, length: number): string => `${text.slice(0, length)}…`

export const tokenOf = ({ result }: Row): string | undefined =>
  result && E.isRight(result) ? cut(result.right.solution.gRecaptchaResponse, 10) : undefined

export const idOf = ({ taskId }: Row): string => (taskId === undefined ? '-' : cut(taskId, 8))

export const paidOf = ({ result }: Row): 'yes' | 'no' | 'perhaps' => {
  if (!result) return 'no'
  if (E.isRight(result)) return 'yes'
  return result.left.paid === 'unknown' ? 'perhaps' : result.left.paid
}

/** How long it took, or has taken so far. */
export const tookMs = ({ beganAt, endedAt }: Row, now: number): number =>
  beganAt === undefined ? 0 : (endedAt ?? now) - beganAt
