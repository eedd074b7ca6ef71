import { inspect } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { Dispatcher } from 'undici'
import { lastValueFrom } from 'rxjs'
import { explain, orThrow, type SolveError, type Solver, type SolverOptions } from 'rx-captcha'
import {
  byteServers,
  closes,
  reply,
  resets,
  sends,
  sendsAndCloses,
  staysSilent,
  type Act
} from '../support/byte-server.js'
import { emulators } from '../support/raw-http.js'
import { aSpec, hurried, outcome, solvers } from '../support/solvers.js'

const KEY = 'canary-key-9f8e7d6c5b4a'
const ODD_KEY = 'canary "k/e\\y" 100% ü'

const start = emulators()
const serve = byteServers()
const solverOf = solvers()

const textsOf = (each: unknown): ReadonlyArray<string> => [
  JSON.stringify(each),
  inspect(each, { depth: 10, showHidden: true })
]

/** Everything that a solver gives to its caller in two solves: as JSON, as inspected objects, and as explanations. */
const outputOf = async (options: Partial<SolverOptions>) => {
  const solver: Solver = solverOf({ clientKey: KEY, ...options })
  const values: unknown[] = [solver]
  solver.events.subscribe((event) => values.push(event))
  solver.orphans.subscribe((orphan) => values.push(orphan))
  solver.solveWithProgress(aSpec).subscribe((event) => values.push(event))
  const inUse = textsOf(solver)
  const result = await outcome(solver.solve(aSpec))
  const error: SolveError | undefined = E.isLeft(result) ? result.left : undefined
  const thrown: unknown = await lastValueFrom(solver.solve(aSpec).pipe(orThrow())).catch((failure: unknown) => failure)
  values.push(result, thrown, await solver.close())
  const stack = thrown instanceof Error ? `${thrown.message}\n${thrown.stack ?? ''}` : ''
  return { error, text: [...inUse, ...values.flatMap(textsOf), stack, error ? explain(error) : ''].join('\n') }
}

describe('the client key', () => {
  it.each([
    'createTask:always:echo-key',
    'createTask:always:billed+echo-key',
    'createTask:always:reset',
    'createTask:always:cut',
    'createTask:always:html',
    'createTask:always:not-http',
    'createTask:always:302',
    'createTask:always:ERROR_ZERO_BALANCE',
    'getTaskResult:always:echo-key',
    'getTaskResult:always:html',
    'getTaskResult:always:cut-json',
    'getTaskResult:always:reset',
    'getTaskResult:always:never',
    'getTaskResult:always:ERROR_CAPTCHA_UNSOLVABLE',
    'connection:always:reset'
  ])('is not in the output of a solver under the fault %s', async (fault) => {
    const emulator = await start({ clientKey: KEY, faults: [fault] })
    const pace = fault.startsWith('connection') ? hurried() : { giveUpAfterMs: 40 }
    const { error, text } = await outputOf({ baseUrl: emulator.url, ...pace })
    expect(error).toBeDefined()
    expect(text).not.toContain('canary')
  })

  it.each([
    ['that succeeds', {}],
    ['with a key that the service does not know', { clientKey: 'canary-key-of-another-account' }]
  ])('is not in the output of a solver %s', async (_, options) => {
    const emulator = await start({ clientKey: KEY })
    const { text } = await outputOf({ baseUrl: emulator.url, ...options })
    expect(text).not.toContain('canary')
  })

  it('is redacted in an error that echoes it, and the rest is kept', async () => {
    const emulator = await start({ clientKey: KEY, faults: ['createTask:always:echo-key'] })
    const { error } = await outputOf({ baseUrl: emulator.url })
    expect(error).toMatchObject({
      _tag: 'Refused',
      errorCode: 'ERROR_KEY_[client key]_REJECTED',
      errorDescription: 'the key [client key] was rejected'
    })
  })

  it('is not in the cause of a dispatcher that quotes the request', async () => {
    class Quoting extends Dispatcher {
      override dispatch(request: Dispatcher.DispatchOptions): boolean {
        const { body } = request
        throw Object.assign(new Error(`cannot send ${inspect(request)}`), { code: `E_${KEY}`, body })
      }
    }
    const { error, text } = await outputOf({ dispatcher: new Quoting(), ...hurried() })
    expect(error).toMatchObject({ _tag: 'NotCreated', cause: { code: 'E_[client key]' } })
    expect(text).not.toContain('canary')
  })
})

describe('a client key that is escaped in JSON and URLs', () => {
  const json = JSON.stringify(ODD_KEY).slice(1, -1)
  const url = encodeURIComponent(ODD_KEY)
  const forms = {
    'as it is': ODD_KEY,
    'as JSON': json,
    'as JSON with escaped slashes': json.replaceAll('/', '\\/'),
    'as ASCII-only JSON': json.replaceAll('ü', '\\u00fc'),
    'as ASCII-only JSON with capital digits': json.replaceAll('ü', '\\u00FC'),
    'as part of a URL': url,
    'as part of a URL with small digits': url.replace(/%../g, (escape) => escape.toLowerCase()),
    'as part of a form': url.replaceAll('%20', '+')
  }
  const texts = Object.entries(forms)
  const pieces = Object.values(forms).flatMap((form) => [form, JSON.stringify(form).slice(1, -1)])

  const holdsKey = (text: string) => pieces.some((piece) => text.toLowerCase().includes(piece.toLowerCase()))

  /** The act as the reply to createTask, and as the reply to each poll of a created task. */
  const onBothCalls = (act: Act) => [[act], [sends(reply('{"errorId":0,"taskId":"id-1"}')), act]]

  it.each(texts)('is redacted in an error document that holds it %s', async (_, form) => {
    const document = { errorId: 1, errorCode: `ERROR_${form}`, errorDescription: `the key ${form} was rejected` }
    for (const acts of onBothCalls(sends(reply(JSON.stringify(document))))) {
      const server = await serve(acts)
      const solver = solverOf({ clientKey: ODD_KEY, baseUrl: server.origin })
      const result = await outcome(solver.solve(aSpec))
      expect(result).toHaveProperty('left.errorDescription', 'the key [client key] was rejected')
      expect(result).toHaveProperty('left.errorCode', 'ERROR_[client key]')
    }
  })

  it.each(texts)('is redacted in the excerpt of a page that holds it %s', async (_, form) => {
    const server = await serve([sends(reply('{"errorId":0,"taskId":"id-1"}')), sends(reply(`<p>key: ${form}</p>`))])
    const solver = solverOf({ clientKey: ODD_KEY, baseUrl: server.origin })
    const result = await outcome(solver.solve(aSpec))
    expect(result).toHaveProperty('left.excerpt', '<p>key: [client key]</p>')
  })

  it.each<[string, Act]>([
    ['a reset', resets],
    ['a close', closes],
    ['another protocol', sendsAndCloses(`SSH-${ODD_KEY}\r\n`)],
    ['silence', staysSilent],
    ['a header that echoes it', sends(reply('', { location: `/?key=${url}`, 'retry-after': url }, 302))]
  ])('is not in the output of a solver after %s', async (_, act) => {
    for (const acts of onBothCalls(act)) {
      const server = await serve(acts)
      const options = { createTimeoutMs: 10, resultTimeoutMs: 10, giveUpAfterMs: 30 }
      const { text } = await outputOf({ clientKey: ODD_KEY, baseUrl: server.origin, ...options })
      expect(holdsKey(text)).toBe(false)
    }
  })
})
