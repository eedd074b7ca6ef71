import { isUtf8 } from 'node:buffer'
import { brotliDecompressSync, constants, gunzipSync, inflateRawSync, inflateSync, type ZlibOptions } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import * as fc from 'fast-check'
import { NEVER, of, startWith } from 'rxjs'
import { Dispatcher } from 'undici'
import {
  advise,
  createSolver,
  explain,
  type CallPath,
  type Orphan,
  type RecaptchaV2Solution,
  type SolveError,
  type Solved,
  type SolverOptions,
  type NetworkEvent
} from 'rx-captcha'
import { fuzzedScripts, type FuzzedReply, type FuzzedScript } from '../support/fuzzed-replies.js'
import { createdIdIn, tokenAtOnceIn, tokenIn } from '../support/second-reader.js'
import { progressOf, longRunOf } from '../support/long-run.js'
import { KEY, aTask } from '../support/simulate.js'
import { VirtualClock } from '../support/chaos/virtual-clock.js'

type Outcome = E.Either<SolveError, Solved<RecaptchaV2Solution>>
type NextReply = (path: string) => FuzzedReply

const { count, seed, timeoutMs } = longRunOf('FUZZ', 500)

const TAGS: ReadonlySet<SolveError['_tag']> = new Set([
  ...(['Refused', 'CreateUnknown', 'TaskFailed', 'BadReply', 'TimedOut'] as const)
])

/** Gives the replies to the solver as a `Post` would. */
const overPost = (nextReply: NextReply): Partial<SolverOptions> => ({
  post: (path: CallPath) => {
    const { status, bytes, end, retryAfterMs } = nextReply(path)
    const reply = { status, body: bytes.toString(), ...(retryAfterMs !== undefined && { retryAfterMs }) }
    if (end === 'open') return NEVER.pipe(startWith<NetworkEvent>({ _tag: 'Sent', received: () => reply }))
    return of<NetworkEvent[]>(
      { _tag: 'Sent' },
      end === 'broken' ? { _tag: 'Failed', cause: BROKEN, received: reply } : { _tag: 'Reply', ...reply }
    )
  }
})

const BROKEN = { name: 'SocketError', code: 'UND_ERR_SOCKET', message: 'other side closed' }

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
    const { status, bytes, end, encoding, retryAfter } = this.#nextReply(path)
    const headers = {
      ...(encoding !== undefined && { 'content-encoding': encoding }),
      ...(retryAfter !== undefined && { 'retry-after': retryAfter })
    }
    const control = controller()
    handler.onRequestStart?.(control, {})
    handler.onResponseStart?.(control, status, headers, '')
    for (let third = 0; third < 3; third += 1)
      handler.onResponseData?.(control, bytes.subarray((bytes.length * third) / 3, (bytes.length * (third + 1)) / 3))
    if (end === 'whole') handler.onResponseEnd?.(control, {})
    if (end === 'broken') handler.onResponseError?.(control, Object.assign(new Error(BROKEN.message), BROKEN))
    return true
  }
}

const overHttp = (nextReply: NextReply): Partial<SolverOptions> => ({
  baseUrl: 'http://127.0.0.1:9',
  dispatcher: new FuzzedDispatcher(nextReply)
})

interface Received {
  readonly path: string
  readonly reply: FuzzedReply
}

/** Solves in virtual time; returns what the solve emitted, errors included, and the replies that it received. */
const solveWith = (script: FuzzedScript, network: (nextReply: NextReply) => Partial<SolverOptions>) => {
  const clock = new VirtualClock()
  const received: Received[] = []
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
  const orphans: Orphan[] = []
  solver.orphans.subscribe((orphan) => orphans.push(orphan))
  solver.solve(aTask).subscribe({
    next: (outcome) => outcomes.push(outcome),
    error: (error: unknown) => outcomes.push(`errored with ${String(error)}`),
    complete: () => outcomes.push('complete')
  })
  while (clock.step());
  return { outcomes, orphans, received, pending: clock.pending }
}

/** The texts that the bytes of a reply may stand for: more than one only if they are compressed and damaged. */
const textsOf = ({ bytes, encoding = '' }: FuzzedReply, isHttp: boolean): ReadonlyArray<string> => {
  if (!isHttp) return [bytes.toString()]
  const isGzip = bytes[0] === 0x1f && bytes[1] === 0x8b
  const whole = encoding === 'gzip' || isGzip ? inflated(gunzipSync, bytes) : undefined
  if (whole) return [decoded(whole)]
  const isPlain = isUtf8(bytes) || !(isGzip || /gzip|deflate|br/.test(encoding))
  if (isPlain) return [decoded(bytes)]
  return ['', decoded(bytes), ...INFLATES.flatMap((inflate) => inflated(inflate, bytes) ?? []).map(decoded)]
}

type Inflate = (bytes: Buffer, options: ZlibOptions) => Buffer

const inflated = (inflate: (bytes: Buffer) => Buffer, bytes: Buffer): Buffer | undefined => {
  try {
    return inflate(bytes)
  } catch {
    return undefined
  }
}

const { Z_SYNC_FLUSH, BROTLI_OPERATION_FLUSH } = constants
/** Each inflates as much as there is. */
const INFLATES: ReadonlyArray<(bytes: Buffer) => Buffer> = [
  gunzipSync,
  inflateSync,
  inflateRawSync,
  brotliDecompressSync
].map((inflate: Inflate) => (bytes) => {
  const finishFlush = inflate === brotliDecompressSync ? BROTLI_OPERATION_FLUSH : Z_SYNC_FLUSH
  return inflate(bytes, { finishFlush, maxOutputLength: 262_144 })
})

/** UTF-8, or UTF-16 if a byte order mark or the zeros in the first two characters say so. */
const decoded = (bytes: Buffer): string => {
  const [first, second] = bytes
  const zeros = Array.from(bytes.subarray(0, 4), (byte) => (byte === 0 ? '0' : 'x')).join('')
  const isLittle = (first === 0xff && second === 0xfe) || /^x0(x0?)?$/.test(zeros)
  const isBig = (first === 0xfe && second === 0xff) || /^0x(0x?)?$/.test(zeros)
  if (isLittle) return new TextDecoder('utf-16le').decode(bytes)
  return isBig ? new TextDecoder('utf-16be').decode(bytes) : bytes.toString()
}

/** Everything that is wrong with the outcome of a script. */
const violationsOf = (script: FuzzedScript, isHttp: boolean): ReadonlyArray<string> => {
  const { outcomes, orphans, received, pending } = solveWith(script, isHttp ? overHttp : overPost)
  const [outcome, end, ...more] = outcomes
  if (outcome === undefined || typeof outcome === 'string' || end !== 'complete' || more.length > 0)
    return [`not one outcome: ${JSON.stringify(outcomes)}`]
  const timers = pending === 0 ? [] : [`${pending} timers are left`]
  const violations = E.isLeft(outcome) ? errorViolations(outcome.left) : []
  return [...timers, ...violations, ...readViolations(outcome, orphans, received.map(readWith(isHttp)))]
}

const errorViolations = (error: SolveError): ReadonlyArray<string> => {
  // A service may put the client key into the task id, which is not redacted, because `resume` needs it.
  const withoutId = 'ref' in error ? { ...error, ref: { ...error.ref, taskId: 'id' } } : error
  const texts = [JSON.stringify(withoutId), explain(withoutId)]
  return [
    ...(TAGS.has(error._tag) ? [] : [`unexpected tag ${error._tag}`]),
    ...((error.paid === 'yes') === 'ref' in error ? [] : ['a ref without a paid task, or the reverse']),
    ...(texts.some((text) => text.includes(KEY)) ? ['the client key in a text'] : []),
    ...(advise(error).length > 0 ? [] : ['no advice'])
  ]
}

/** What was sent, by the second reader: of a createTask the id, and of every reply the token. */
interface Read {
  readonly path: string
  readonly end: FuzzedReply['end']
  readonly ids: ReadonlyArray<string | undefined>
  readonly tokens: ReadonlyArray<string | undefined>
}

const readWith =
  (isHttp: boolean) =>
  ({ path, reply }: Received): Read => {
    const texts = textsOf(reply, isHttp)
    if (path !== '/createTask') return { path, end: reply.end, ids: [], tokens: texts.map(tokenIn) }
    return { path, end: reply.end, ids: texts.map(createdIdIn), tokens: texts.map(tokenAtOnceIn) }
  }

/**
 * The outcome must have the id and the token that the second reader finds, and no other. The id of a createTask that was not
 * answered at the deadline comes as an orphan.
 */
const readViolations = (
  outcome: Outcome,
  [orphan]: ReadonlyArray<Orphan>,
  received: ReadonlyArray<Read>
): ReadonlyArray<string> => {
  const value = E.isLeft(outcome) ? outcome.left : outcome.right
  const taskId = ('ref' in value ? value.ref : orphan?.ref)?.taskId
  const token = E.isRight(outcome) ? outcome.right.solution.gRecaptchaResponse : undefined
  const created = received.filter(({ path }) => path === '/createTask').at(-1)
  const last = received.at(-1)
  const earlier = received.slice(0, -1).filter(({ tokens }) => tokens.every((each) => each !== undefined))
  // A reply that was open at the deadline may hold a token.
  const isUnread = E.isLeft(outcome) && last?.end === 'open'
  return [
    ...(created?.ids.includes(taskId) ? [] : [`the id ${taskId} and not ${created?.ids.join()}`]),
    ...(isUnread || last?.tokens.includes(token) ? [] : [`the token ${token} and not ${last?.tokens.join()}`]),
    ...(earlier.length === 0 ? [] : ['polled on after a token'])
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
