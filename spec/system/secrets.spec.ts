import { inspect } from 'node:util'
import * as E from 'fp-ts/lib/Either.js'
import { Dispatcher } from 'undici'
import { lastValueFrom } from 'rxjs'
import { explain, orThrow, type SolveError, type Solver, type SolverOptions } from 'rx-captcha'
import { byteServers, closes, reply, resets, says, saysAndCloses, silent, type Act } from '../support/byte-server.js'
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

/** Everything that a solver and one solve say, in every way in which a program or a log may put it into words. */
const wordsOf = async (options: Partial<SolverOptions>) => {
  const solver: Solver = solverOf({ clientKey: KEY, ...options })
  const said: unknown[] = [solver]
  solver.events.subscribe((event) => said.push(event))
  solver.orphans.subscribe((orphan) => said.push(orphan))
  solver.solveWithProgress(aSpec).subscribe((event) => said.push(event))
  const inUse = textsOf(solver)
  const result = await outcome(solver.solve(aSpec))
  const error: SolveError | undefined = E.isLeft(result) ? result.left : undefined
  const thrown: unknown = await lastValueFrom(solver.solve(aSpec).pipe(orThrow())).catch((failure: unknown) => failure)
  said.push(result, thrown, await solver.close())
  const stack = thrown instanceof Error ? `${thrown.message}\n${thrown.stack ?? ''}` : ''
  return { error, text: [...inUse, ...said.flatMap(textsOf), stack, error ? explain(error) : ''].join('\n') }
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
  ])('is in nothing that is said when the service behaves as %s', async (fault) => {
    const emulator = await start({ clientKey: KEY, faults: [fault] })
    const pace = fault.startsWith('connection') ? hurried() : { giveUpAfterMs: 40 }
    const { error, text } = await wordsOf({ baseUrl: emulator.url, ...pace })
    expect(error).toBeDefined()
    expect(text).not.toContain('canary')
  })

  it.each([
    ['a success', {}],
    ['a key that the service does not know', { clientKey: 'canary-key-of-somebody-else' }]
  ])('is in nothing that is said at %s', async (_, options) => {
    const emulator = await start({ clientKey: KEY })
    const { text } = await wordsOf({ baseUrl: emulator.url, ...options })
    expect(text).not.toContain('canary')
  })

  it('is taken out of where the service echoes it, and the rest is kept', async () => {
    const emulator = await start({ clientKey: KEY, faults: ['createTask:always:echo-key'] })
    const { error } = await wordsOf({ baseUrl: emulator.url })
    expect(error).toMatchObject({
      _tag: 'Refused',
      errorCode: 'ERROR_KEY_[client key]_REJECTED',
      errorDescription: 'the key [client key] was rejected'
    })
  })

  it('is in no cause of a dispatcher that quotes the request', async () => {
    class Quoting extends Dispatcher {
      override dispatch(request: Dispatcher.DispatchOptions): boolean {
        const { body } = request
        throw Object.assign(new Error(`cannot send ${inspect(request)}`), { code: `E_${KEY}`, body })
      }
    }
    const { error, text } = await wordsOf({ dispatcher: new Quoting(), ...hurried() })
    expect(error).toMatchObject({ _tag: 'NotCreated', cause: { code: 'E_[client key]' } })
    expect(text).not.toContain('canary')
  })
})

describe('a key that JSON and addresses write in another way', () => {
  const json = JSON.stringify(ODD_KEY).slice(1, -1)
  const url = encodeURIComponent(ODD_KEY)
  const forms = {
    'as it is': ODD_KEY,
    'as JSON': json,
    'as JSON with escaped slashes': json.replaceAll('/', '\\/'),
    'as JSON of ASCII alone': json.replaceAll('ü', '\\u00fc'),
    'as JSON of ASCII alone, in capitals': json.replaceAll('ü', '\\u00FC'),
    'as part of an address': url,
    'as part of an address, in small letters': url.replace(/%../g, (escape) => escape.toLowerCase()),
    'as part of a form': url.replaceAll('%20', '+')
  }
  const texts = Object.entries(forms)
  const pieces = Object.values(forms).flatMap((form) => [form, JSON.stringify(form).slice(1, -1)])

  const holds = (text: string) => pieces.some((piece) => text.toLowerCase().includes(piece.toLowerCase()))

  const both = (act: Act) => [
    [act],
    [says(reply('{"errorId":0,"taskId":"id-1"}')), act] // created, and then each poll
  ]

  it.each(texts)('is taken out of an error document that holds it %s', async (_, form) => {
    const document = { errorId: 1, errorCode: `ERROR_${form}`, errorDescription: `the key ${form} was rejected` }
    for (const acts of both(says(reply(JSON.stringify(document))))) {
      const server = await serve(acts)
      const solver = solverOf({ clientKey: ODD_KEY, baseUrl: server.origin })
      const result = await outcome(solver.solve(aSpec))
      expect(result).toHaveProperty('left.errorDescription', 'the key [client key] was rejected')
      expect(result).toHaveProperty('left.errorCode', 'ERROR_[client key]')
    }
  })

  it.each(texts)('is taken out of the excerpt of a page that holds it %s', async (_, form) => {
    const server = await serve([says(reply('{"errorId":0,"taskId":"id-1"}')), says(reply(`<p>key: ${form}</p>`))])
    const solver = solverOf({ clientKey: ODD_KEY, baseUrl: server.origin })
    const result = await outcome(solver.solve(aSpec))
    expect(result).toHaveProperty('left.excerpt', '<p>key: [client key]</p>')
  })

  it.each<[string, Act]>([
    ['a reset', resets],
    ['a close', closes],
    ['no HTTP', saysAndCloses(`SSH-${ODD_KEY}\r\n`)],
    ['silence', silent],
    ['a header that echoes it', says(reply('', { location: `/?key=${url}`, 'retry-after': url }, 302))]
  ])('is in nothing that is said after %s', async (_, act) => {
    for (const acts of both(act)) {
      const server = await serve(acts)
      const options = { createTimeoutMs: 10, resultTimeoutMs: 10, giveUpAfterMs: 30 }
      const { text } = await wordsOf({ clientKey: ODD_KEY, baseUrl: server.origin, ...options })
      expect(holds(text)).toBe(false)
    }
  })
})
