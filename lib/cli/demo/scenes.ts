import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../../core/model/error.js'
import type { TaskEvent } from '../../core/model/event.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { SolveResult } from '../../core/model/result.js'
import { DELAY_REASONS } from '../shared/progress.js'
import { seconds } from '../shared/text.js'

/** One task of the demonstration, and how it ends. */
export interface Scene {
  readonly about: string
  readonly ends: 'Solved' | SolveError['_tag']
}

export const SCENES: ReadonlyArray<Scene> = [
  { about: 'no fault', ends: 'Solved' },
  { about: 'service is busy', ends: 'Solved' },
  { about: 'poll is lost', ends: 'Solved' },
  { about: 'service fails', ends: 'TaskFailed' },
  { about: 'task id is lost', ends: 'CreateUnknown' },
  { about: 'no fault', ends: 'Solved' }
]

/** createTask calls count as they arrive: the second one is refused for now, and is sent again as the third. */
export const FAULTS: ReadonlyArray<string> = [
  'createTask:2:ERROR_NO_SLOT_AVAILABLE;retry-after=4',
  'getTaskResult:3:reset',
  'task:4:ERROR_CAPTCHA_UNSOLVABLE',
  'createTask:6:billed+reset'
]

// With this seed the third task takes 6 to 9 s and all others less than 6, so it alone has a third poll.
export const SEED = 27_298
export const READY_AFTER_MS: readonly [min: number, max: number] = [1_500, 9_000]

/** What is known of one task. */
export interface SceneState {
  readonly name: string
  readonly startedAt: number
  readonly endedAt: number
  readonly taskId: string | undefined
  readonly polls: number
  readonly note: string
  readonly result: SolveResult<RecaptchaV2Solution> | undefined
}

export const startOf = ({ about }: Scene, index: number, startedAt: number): SceneState => ({
  name: `${index + 1}  ${about.padEnd(15)}`,
  startedAt,
  endedAt: startedAt,
  taskId: undefined,
  polls: 0,
  note: 'starts',
  result: undefined
})

export const nextSceneState = (state: SceneState, event: TaskEvent<RecaptchaV2Solution>): SceneState => {
  const at = { ...state, endedAt: event.at }
  switch (event._tag) {
    case 'Created':
      return { ...at, taskId: event.ref.taskId, note: 'created' }
    case 'Polled':
      return { ...at, polls: event.polls, note: `poll ${event.polls}` }
    case 'Delayed':
      return { ...at, note: `${DELAY_REASONS[event.reason]}, wait ${seconds(event.waitMs)} s` }
    case 'AssumedNotCreated':
      return { ...at, note: `HTTP ${event.status}` }
    case 'Settled': {
      const { result } = event
      return { ...at, result, note: E.isRight(result) ? 'solved' : `${result.left._tag}, paid: ${result.left.paid}` }
    }
  }
}

export const tagOf = ({ result }: SceneState): Scene['ends'] | undefined =>
  result && (E.isLeft(result) ? result.left._tag : 'Solved')

export const paidOf = ({ result }: SceneState): 'yes' | 'no' | 'unknown' =>
  !result ? 'no' : E.isRight(result) ? 'yes' : result.left.paid
