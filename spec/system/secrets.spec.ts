import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { inspect } from 'node:util'
import { gzipSync } from 'node:zlib'
import * as E from 'fp-ts/lib/Either.js'
import { Dispatcher } from 'undici'
import { lastValueFrom } from 'rxjs'
import { explain, orThrow, type SolveError, type Solver, type SolverEvent, type SolverOptions } from 'rx-captcha'
import { debugLine } from '../../lib/diagnostics/debug-line.js'
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

/** What is published to the diagnostics channels, and the debug lines. */
const published: unknown[] = []
const listener = (event: unknown): void => void published.push(event, debugLine(event as SolverEvent))
const CHANNELS = ['solve', 'create', 'poll', 'batch'].map((name) => `rx-captcha:${name}`)
beforeAll(() => CHANNELS.forEach((name) => subscribe(name, listener)))
afterAll(() => CHANNELS.forEach((name) => unsubscribe(name, listener)))

/** Everything that a solver gives out in two solves: as JSON, as inspected objects, and as explanations. */
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
  values.push(result, thrown, await solver.close(), ...published.splice(0))
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
    'getTaskResult:always:unknown-status',
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

  const DOCUMENT = '{"errorId":0,"errorCode":"","errorDescription":null,"taskId":"id-1","status":"processing"}'
  const limits = { createTimeoutMs: 100, resultTimeoutMs: 100, giveUpAfterMs: 200, pollEveryMs: 30 }
  const brokenOff = (body: string | Buffer) => sendsAndCloses(reply(body, { 'content-length': '100000' }))
  const neverEnded = (body: string | Buffer) => sends(reply(body, { 'content-length': '100000' }))

  /** Replies that hold this text where the library looks for a document, or reports what it found instead. */
  const echoes: ReadonlyArray<[string, (text: string) => Act]> = [
    ['before the document', (text) => sends(reply(`<b>Warning</b> ${text}\n${DOCUMENT}`))],
    ['after the document', (text) => sends(reply(`${DOCUMENT}<!-- ${text} -->`))],
    ['between two documents', (text) => sends(reply(`{"errorId":0}${text}{"errorId":0}`))],
    [
      'in a document within text',
      (text) => sends(reply(`Notice: {"errorId":1,"errorDescription":${JSON.stringify(text)}}`))
    ],
    ['in a document that is not JSON', (text) => sends(reply(`{"errorId":0,"note":"${text}","cost":NaN}`))],
    ['in an array', (text) => sends(reply(JSON.stringify([text])))],
    ['in a reply that breaks off', (text) => brokenOff(`{"errorId":0,"note":"${text}","no`)],
    ['in a reply that never ends', (text) => neverEnded(`<p>${text}</p>`)],
    ['in cut gzip', (text) => sends(reply(gzipSync(`<p>${text}</p>`).subarray(0, -8), { 'content-encoding': 'gzip' }))],
    ['in UTF-16', (text) => sends(reply(Buffer.from(`<p>${text}</p>`, 'utf16le')))],
    ['under an unknown encoding', (text) => sends(reply(`<p>${text}</p>`, { 'content-encoding': 'zstd' }))],
    ['as a status', (text) => sends(reply(JSON.stringify({ errorId: 0, status: text })))],
    ['in a status', (text) => sends(reply(JSON.stringify({ errorId: 0, status: `waiting for ${text}, please wait` })))],
    ['as the name of a field', (text) => sends(reply(JSON.stringify({ errorId: 0, [text]: 1 })))]
  ]

  it.each(echoes)('is not in the output of a solver, in any form, if a reply holds it %s', async (_, echo) => {
    // All at once, because most of the time is spent on waiting for the limits, which are long enough for a busy machine.
    const outputs = Object.values(forms)
      .flatMap((form) => onBothCalls(echo(form)))
      .map(async (acts) => {
        const server = await serve(acts)
        return outputOf({ clientKey: ODD_KEY, baseUrl: server.origin, ...limits })
      })
    for (const { text } of await Promise.all(outputs)) expect(holdsKey(text)).toBe(false)
  })

  it.each(texts)('is redacted in the excerpt of CreateUnknown that holds it %s', async (_, form) => {
    for (const act of [sends(reply(`<p>key: ${form}</p>`)), brokenOff(`<p>key: ${form}</p>`)]) {
      const server = await serve(act)
      const result = await outcome(solverOf({ clientKey: ODD_KEY, baseUrl: server.origin }).solve(aSpec))
      expect(result).toMatchObject({ left: { _tag: 'CreateUnknown', excerpt: '<p>key: [client key]</p>' } })
    }
  })

  describe('in an unknown status', () => {
    const results = new Map<string, unknown>()

    // All at once, so that the deadline can be long enough for a busy machine.
    beforeAll(async () => {
      const solve = async ([name, form]: readonly [string, string]) => {
        const server = await serve([
          sends(reply(DOCUMENT)),
          sends(reply(JSON.stringify({ errorId: 0, status: `waiting for ${form}` })))
        ])
        const solver = solverOf({ clientKey: ODD_KEY, baseUrl: server.origin, pollEveryMs: 100, giveUpAfterMs: 1_500 })
        results.set(name, await outcome(solver.solve(aSpec)))
      }
      await Promise.all(Object.entries(forms).map(solve))
    })

    it.each(Object.keys(forms))('is redacted %s', (name) => {
      expect(results.get(name)).toMatchObject({ left: { _tag: 'TimedOut' } })
      expect(JSON.stringify(results.get(name))).toContain('waiting for [client key]')
    })
  })
})

describe('a client key that is cut', () => {
  // No part of this length may stand anywhere; a shorter one says nothing.
  const parts = Array.from({ length: KEY.length - 5 }, (_, i) => KEY.slice(i, i + 6))
  const holdsPart = (text: string) => parts.filter((part) => text.includes(part))

  /** The output of a solver that gets this reply to createTask, and in another run to its polls. */
  const outputsOf = async (act: Act) =>
    Promise.all(
      [[act], [sends(reply('{"errorId":0,"taskId":"id-1"}')), act]].map(async (acts) => {
        const server = await serve(acts)
        const { text } = await outputOf({
          baseUrl: server.origin,
          createTimeoutMs: 20,
          resultTimeoutMs: 20,
          giveUpAfterMs: 40
        })
        return text
      })
    )

  it('leaves no part in the output if the reply breaks off within it', async () => {
    for (let length = 6; length <= KEY.length; length += 1) {
      const body = `<p>the key ${KEY.slice(0, length)}`
      const act = sendsAndCloses(reply(body, { 'content-length': '100000' }))
      for (const text of await outputsOf(act)) expect(holdsPart(text)).toStrictEqual([])
    }
  })

  it.each([40, 200, 500, 2_000])('leaves no part in the output if it lies across the %dth character', async (limit) => {
    for (let before = limit - KEY.length - 1; before <= limit + 1; before += 3) {
      for (const filler of ['ab ', 'x'])
        for (const text of await outputsOf(sends(reply(`${filler.repeat(before).slice(0, before)}${KEY} and more`))))
          expect(holdsPart(text)).toStrictEqual([])
    }
  })

  it.each([40, 200, 500])(
    'leaves no part in the output if it lies across the %dth character of a field',
    async (limit) => {
      for (let before = limit - KEY.length - 1; before <= limit + 1; before += 3) {
        const value = `${'x'.repeat(before)}${KEY} and more`
        for (const document of [
          { errorId: 1, errorCode: value, errorDescription: value },
          { errorId: 0, status: value }
        ])
          for (const text of await outputsOf(sends(reply(JSON.stringify(document)))))
            expect(holdsPart(text)).toStrictEqual([])
      }
    }
  )
})
