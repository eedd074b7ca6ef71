import { gunzipSync } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { of } from 'rxjs'
import { Dispatcher } from 'undici'
import {
  advise,
  createSolver,
  explain,
  type CallPath,
  type RecaptchaV2Solution,
  type SolveError,
  type Solved,
  type SolverOptions,
  type NetworkEvent
} from 'rx-captcha'
import { fuzzedScripts, type FuzzedReply, type FuzzedScript } from '../support/fuzzed-replies.js'
import { progressOf, longRunOf } from '../support/long-run.js'
import { KEY, aTask } from '../support/simulate.js'
import { VirtualClock } from '../support/chaos/virtual-clock.js'

type Outcome = E.Either<SolveError, Solved<RecaptchaV2Solution>>
type NextReply = (path: string) => FuzzedReply

const { count, seed, timeoutMs } = longRunOf('FUZZ', 5_000)

const TAGS: ReadonlySet<SolveError['_tag']> = new Set([
  ...(['Refused', 'CreateUnknown', 'TaskFailed', 'BadReply', 'TimedOut'] as const)
])

/** Gives the replies to the solver as a `Post` would. */
const overPost = (nextReply: NextReply): Partial<SolverOptions> => ({
  post: (path: CallPath) => {
    const { status, bytes, retryAfterMs } = nextReply(path)
    const body = bytes.toString()
    return of<NetworkEvent[]>(
      { _tag: 'Sent' },
      { _tag: 'Reply', status, body, ...(retryAfterMs !== undefined && { retryAfterMs }) }
    )
  }
})

const controller = (): Dispatcher.DispatchController => ({
  aborted: false,
  paused: false,
  reason: null,
  abort: () => {},
  pause: () => {},
  resume: () => {}
})

/** Gives the replies to the HTTP code as undici would, in three chunks. */
class FuzzedDispatcher extends Dispatcher {
  readonly #nextReply: NextReply

  constructor(nextReply: NextReply) {
    super()
    this.#nextReply = nextReply
  }

  override dispatch({ path }: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { status, bytes, encoding, retryAfter } = this.#nextReply(path)
    const headers = {
      ...(encoding !== undefined && { 'content-encoding': encoding }),
      ...(retryAfter !== undefined && { 'retry-after': retryAfter })
    }
    const control = controller()
    handler.onRequestStart?.(control, {})
    handler.onResponseStart?.(control, status, headers, '')
    for (let third = 0; third < 3; third += 1)
      handler.onResponseData?.(control, bytes.subarray((bytes.length * third) / 3, (bytes.length * (third + 1)) / 3))
    handler.onResponseEnd?.(control, {})
    return true
  }
}

const overHttp = (nextReply: NextReply): Partial<SolverOptions> => ({
  baseUrl: 'http://127.0.0.1:9',
  dispatcher: new FuzzedDispatcher(nextReply)
})

/** Solves in virtual time; returns what the solve emitted, errors included, and the replies that it received. */
const solveWith = (script: FuzzedScript, network: (nextReply: NextReply) => Partial<SolverOptions>) => {
  const clock = new VirtualClock()
  const received: { readonly path: string; readonly reply: FuzzedReply }[] = []
  const nextReply: NextReply = (path) => {
    const replies = path === '/createTask' ? script.creates : script.polls
    const before = received.filter((each) => each.path === path).length
    const reply = replies[Math.min(before, replies.length - 1)] ?? replies[0]!
    received.push({ path, reply })
    return reply
  }
  const solver = createSolver({
    clientKey: KEY,
    scheduler: clock,
    random: () => 0.5,
    giveUpAfterMs: 30_000,
    ...network(nextReply)
  })
  const outcomes: (Outcome | string)[] = []
  solver.solve(aTask).subscribe({
    next: (outcome) => outcomes.push(outcome),
    error: (error: unknown) => outcomes.push(`errored with ${String(error)}`),
    complete: () => outcomes.push('complete')
  })
  while (clock.step());
  return { outcomes, received: received.map(({ reply }) => reply), pending: clock.pending }
}

const asObject = (value: unknown): ReadonlyMap<string, unknown> =>
  new Map(typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [])

/** The text of a reply, or `''` if it cannot be decoded; shares no code with the library. */
const textOf = ({ bytes, encoding }: FuzzedReply, isHttp: boolean): string => {
  try {
    const plain = isHttp && encoding === 'gzip' ? gunzipSync(bytes) : bytes
    return isHttp && encoding === 'br' ? '' : plain.toString().replace(/^\ufeff/, '')
  } catch {
    return ''
  }
}

const read = (text: string): ReadonlyMap<string, unknown> => {
  try {
    const json: unknown = JSON.parse(text)
    return asObject(json)
  } catch {
    return new Map()
  }
}

/** The token of a reply, if the reply is a success. */
const tokenIn = (text: string): string | undefined => {
  const document = read(text)
  const token = asObject(document.get('solution')).get('gRecaptchaResponse')
  const isReady =
    (document.get('errorId') === 0 || document.get('errorId') === '0') && document.get('status') === 'ready'
  return isReady && typeof token === 'string' && token.trim() !== '' ? token : undefined
}

/** Whether a reply holds this task id: as a string, or as a number with all its digits. */
const holdsId = (text: string, taskId: string): boolean => {
  const given = read(text).get('taskId')
  if (typeof given !== 'number') return given === taskId
  return given > 0 && (Number.isSafeInteger(given) ? String(given) === taskId : text.includes(taskId))
}

/** Everything that is wrong with the outcome of a script. */
const violationsOf = (script: FuzzedScript, isHttp: boolean): ReadonlyArray<string> => {
  const { outcomes, received, pending } = solveWith(script, isHttp ? overHttp : overPost)
  const [outcome, end, ...more] = outcomes
  if (outcome === undefined || typeof outcome === 'string' || end !== 'complete' || more.length > 0)
    return [`not one outcome: ${JSON.stringify(outcomes)}`]
  const timers = pending === 0 ? [] : [`${pending} timers are left`]
  const violations = E.isLeft(outcome)
    ? errorViolations(outcome.left)
    : successViolations(outcome.right, received, isHttp)
  return [...timers, ...violations]
}

const errorViolations = (error: SolveError): ReadonlyArray<string> => {
  // A service may give the client key as the task id; an id is not redacted, because `resume` needs it.
  const isIdTheKey = 'ref' in error && error.ref.taskId === KEY
  const texts = [JSON.stringify(error), explain(error)]
  return [
    ...(TAGS.has(error._tag) ? [] : [`unexpected tag ${error._tag}`]),
    ...((error.paid === 'yes') === 'ref' in error ? [] : ['a ref without a paid task, or the reverse']),
    ...(!isIdTheKey && texts.some((text) => text.includes(KEY)) ? ['the client key in a text'] : []),
    ...(advise(error).length > 0 ? [] : ['no advice'])
  ]
}

const successViolations = (
  { ref, solution }: Solved<RecaptchaV2Solution>,
  received: ReadonlyArray<FuzzedReply>,
  isHttp: boolean
): ReadonlyArray<string> => {
  const texts = received.map((reply) => textOf(reply, isHttp))
  const isIdSent = texts.some((text) => holdsId(text, ref.taskId))
  const isTokenSent = texts.some((text) => tokenIn(text) === solution.gRecaptchaResponse)
  return [
    ...(isIdSent ? [] : [`the id ${ref.taskId} was not sent`]),
    ...(isTokenSent ? [] : ['the token was not sent'])
  ]
}

describe('a solver that receives fuzzed replies', () => {
  it.each([
    ['a Post', false],
    ['HTTP', true]
  ])(
    `emits one outcome, and succeeds only with a token that was sent, over %s (FUZZ_SEED=${seed})`,
    (network, isHttp) => {
      const runs = Math.ceil(count / 2)
      const printProgress = progressOf(`FUZZ_SEED=${seed}, over ${network}`, runs, 50_000)
      let done = 0
      const check = (script: FuzzedScript): void => {
        const violations = violationsOf(script, isHttp)
        // Only on a violation, because an assertion takes as long as a whole solve.
        if (violations.length > 0) expect(violations).toStrictEqual([])
        printProgress((done += 1))
      }
      fc.assert(fc.property(fuzzedScripts, check), { seed, numRuns: runs })
    },
    timeoutMs
  )
})
