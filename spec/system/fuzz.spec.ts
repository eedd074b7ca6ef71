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
import { stories, type FuzzedReply, type Story } from '../support/fuzzed-replies.js'
import { progressOf, soakOf } from '../support/long-run.js'
import { KEY, aTask } from '../support/simulate.js'
import { VirtualClock } from '../support/chaos/virtual-clock.js'

type Outcome = E.Either<SolveError, Solved<RecaptchaV2Solution>>
type Say = (path: string) => FuzzedReply

const { count, seed, timeoutMs } = soakOf('FUZZ', 5_000)

const TAGS: ReadonlySet<SolveError['_tag']> = new Set([
  ...(['Refused', 'CreateUnknown', 'TaskFailed', 'BadReply', 'TimedOut'] as const)
])

/** Hands the replies to the solver as a Post would. */
const throughPost = (say: Say): Partial<SolverOptions> => ({
  post: (path: CallPath) => {
    const { status, bytes, retryAfterMs } = say(path)
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

/** Hands the replies to the reader of HTTP as undici would, in three chunks. */
class Saying extends Dispatcher {
  constructor(private readonly say: Say) {
    super()
  }

  override dispatch({ path }: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    const { status, bytes, encoding, retryAfter } = this.say(path)
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

const throughHttp = (say: Say): Partial<SolverOptions> => ({
  baseUrl: 'http://127.0.0.1:9',
  dispatcher: new Saying(say)
})

/** Solves in virtual time; tells of each outcome, of each throw as one, and of the replies that were heard. */
const solveWith = (story: Story, network: (say: Say) => Partial<SolverOptions>) => {
  const clock = new VirtualClock()
  const heard: { readonly path: string; readonly reply: FuzzedReply }[] = []
  const say: Say = (path) => {
    const replies = path === '/createTask' ? story.creates : story.polls
    const before = heard.filter((each) => each.path === path).length
    const reply = replies[Math.min(before, replies.length - 1)] ?? replies[0]!
    heard.push({ path, reply })
    return reply
  }
  const solver = createSolver({
    clientKey: KEY,
    scheduler: clock,
    random: () => 0.5,
    giveUpAfterMs: 30_000,
    ...network(say)
  })
  const outcomes: (Outcome | string)[] = []
  solver.solve(aTask).subscribe({
    next: (outcome) => outcomes.push(outcome),
    error: (error: unknown) => outcomes.push(`errored with ${String(error)}`),
    complete: () => outcomes.push('complete')
  })
  while (clock.step());
  return { outcomes, heard: heard.map(({ reply }) => reply), pending: clock.pending }
}

const asObject = (value: unknown): ReadonlyMap<string, unknown> =>
  new Map(typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [])

/** The text of a reply, where one can be read at all; by our own rules, not by those of the library. */
const textOf = ({ bytes, encoding }: FuzzedReply, byHttp: boolean): string => {
  try {
    const plain = byHttp && encoding === 'gzip' ? gunzipSync(bytes) : bytes
    return byHttp && encoding === 'br' ? '' : plain.toString().replace(/^\ufeff/, '')
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

/** The token of a reply that is a success and nothing else. */
const tokenIn = (text: string): string | undefined => {
  const document = read(text)
  const token = asObject(document.get('solution')).get('gRecaptchaResponse')
  const isReady =
    (document.get('errorId') === 0 || document.get('errorId') === '0') && document.get('status') === 'ready'
  return isReady && typeof token === 'string' && token.trim() !== '' ? token : undefined
}

/** Whether a reply names this task: as a text, or as a number, of which no digit may be rounded away. */
const names = (text: string, taskId: string): boolean => {
  const given = read(text).get('taskId')
  if (typeof given !== 'number') return given === taskId
  return given > 0 && (Number.isSafeInteger(given) ? String(given) === taskId : text.includes(taskId))
}

/** All that is wrong with what came of a story. */
const wrongWith = (story: Story, byHttp: boolean): ReadonlyArray<string> => {
  const { outcomes, heard, pending } = solveWith(story, byHttp ? throughHttp : throughPost)
  const [outcome, end, ...more] = outcomes
  if (outcome === undefined || typeof outcome === 'string' || end !== 'complete' || more.length > 0)
    return [`told: ${JSON.stringify(outcomes)}`]
  const left = pending === 0 ? [] : [`${pending} timers are left`]
  return [...left, ...(E.isLeft(outcome) ? wrongError(outcome.left) : wrongSuccess(outcome.right, heard, byHttp))]
}

const wrongError = (error: SolveError): ReadonlyArray<string> => {
  // A service that names a task by the key is past help: an id is kept as it is, or nobody could resume it.
  const isNamedByKey = 'ref' in error && error.ref.taskId === KEY
  const words = [JSON.stringify(error), explain(error)]
  return [
    ...(TAGS.has(error._tag) ? [] : [`the tag ${error._tag}`]),
    ...((error.paid === 'yes') === 'ref' in error ? [] : ['a ref belongs to what was paid']),
    ...(!isNamedByKey && words.some((text) => text.includes(KEY)) ? ['the key'] : []),
    ...(advise(error).length > 0 ? [] : ['no advice'])
  ]
}

const wrongSuccess = (
  { ref, solution }: Solved<RecaptchaV2Solution>,
  heard: ReadonlyArray<FuzzedReply>,
  byHttp: boolean
): ReadonlyArray<string> => {
  const texts = heard.map((reply) => textOf(reply, byHttp))
  const isTold = texts.some((text) => names(text, ref.taskId))
  const isSolved = texts.some((text) => tokenIn(text) === solution.gRecaptchaResponse)
  return [...(isTold ? [] : [`the id ${ref.taskId}`]), ...(isSolved ? [] : ['a token that nobody sent'])]
}

describe('a solver whose service answers with bodies of chance', () => {
  it.each([
    ['a Post', false],
    ['the reader of HTTP', true]
  ])(
    `ends with one outcome, and succeeds only with a token that was sent, through %s; FUZZ_SEED=${seed}`,
    (through, byHttp) => {
      const runs = Math.ceil(count / 2)
      const tellProgress = progressOf(`FUZZ_SEED=${seed}, through ${through}`, runs, 50_000)
      let done = 0
      const holds = (story: Story): void => {
        const wrong = wrongWith(story, byHttp)
        // An assertion costs as much as a whole solve: only where there is something to tell.
        if (wrong.length > 0) expect(wrong).toStrictEqual([])
        tellProgress((done += 1))
      }
      fc.assert(fc.property(stories, holds), { seed, numRuns: runs })
    },
    timeoutMs
  )
})
