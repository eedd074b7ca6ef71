import * as E from 'fp-ts/lib/Either.js'
import { NEVER, VirtualTimeScheduler, firstValueFrom, of, toArray } from 'rxjs'
import {
  InvalidOptions,
  createSolver,
  recaptchaV2,
  type CallPath,
  type SolveError,
  type NetworkEvent,
  type Solver
} from 'rx-captcha'
import { replies, outcomes, scriptedPost, stubSolver, type Scripted } from 'rx-captcha/testing'
import { marbles } from '../support/marbles.js'

const BODY = { clientKey: 'a-client-key' }
const sent: NetworkEvent = { _tag: 'Sent' }
const script = (create: ReadonlyArray<Scripted>, poll: ReadonlyArray<Scripted> = []) => ({
  '/createTask': create,
  '/getTaskResult': poll
})

/** The events of one call on a scripted network, with their times. */
const eventsOf = (entry: Scripted): ReadonlyArray<readonly [at: number, NetworkEvent | 'end']> => {
  const scheduler = new VirtualTimeScheduler()
  const { post } = scriptedPost(script([entry]), scheduler)
  const events: [number, NetworkEvent | 'end'][] = []
  post('/createTask', BODY).subscribe({
    next: (event) => events.push([scheduler.now(), event]),
    complete: () => events.push([scheduler.now(), 'end'])
  })
  scheduler.flush()
  return events
}

describe('scriptedPost', () => {
  const cause = { name: 'Error', code: 'ECONNRESET', message: '' }

  it.each<readonly [string, Scripted, ReadonlyArray<readonly [number, NetworkEvent | 'end']>]>([
    [
      'a reply with a document',
      { document: { a: 1 } },
      [
        [0, sent],
        [0, { _tag: 'Reply', status: 200, body: '{"a":1}' }],
        [0, 'end']
      ]
    ],
    [
      'a reply with another body',
      { body: '<html>', status: 502 },
      [
        [0, sent],
        [0, { _tag: 'Reply', status: 502, body: '<html>' }],
        [0, 'end']
      ]
    ],
    [
      'a delayed reply',
      { document: 1, afterMs: 70, retryAfterMs: 5 },
      [
        [0, sent],
        [70, { _tag: 'Reply', status: 200, body: '1', retryAfterMs: 5 }],
        [70, 'end']
      ]
    ],
    [
      'a failure',
      { failed: { code: 'ECONNRESET' } },
      [
        [0, sent],
        [0, { _tag: 'Failed', cause }],
        [0, 'end']
      ]
    ],
    [
      'a failure before anything is sent',
      { failed: { code: 'ECONNRESET' }, sent: false, afterMs: 3 },
      [
        [3, { _tag: 'Failed', cause }],
        [3, 'end']
      ]
    ],
    ['silence', { silent: true }, [[0, sent]]]
  ])('plays %s', (_, entry, events) => {
    expect(eventsOf(entry)).toStrictEqual(events)
  })

  const bodies = async (
    posts: ReadonlyArray<CallPath>,
    create: ReadonlyArray<Scripted>,
    poll: ReadonlyArray<Scripted>
  ) => {
    const { post } = scriptedPost(script(create, poll), new VirtualTimeScheduler())
    const received: unknown[] = []
    for (const path of posts) {
      const [, reply] = await firstValueFrom(post(path, BODY).pipe(toArray()))
      received.push(reply?._tag === 'Reply' && reply.body)
    }
    return received
  }

  it('replies to each path in the order of its script, and repeats the last entry', async () => {
    const posts = ['/createTask', '/getTaskResult', '/getTaskResult', '/createTask', '/getTaskResult'] as const
    const received = await bodies(posts, [{ body: 'c1' }, { body: 'c2' }], [{ body: 'a1' }, { body: 'a2' }])
    expect(received).toStrictEqual(['c1', 'a1', 'a2', 'c2', 'a2'])
  })

  it.each<[string, unknown, string]>([
    [
      'a path without its slash',
      { createTask: [], '/getTaskResult': [] },
      'createTask: unknown option (did you mean /createTask?)'
    ],
    ['a missing path', { '/createTask': [] }, '/getTaskResult: expected an array of replies'],
    [
      'a reply without its array',
      { ...script([]), '/createTask': replies.created() },
      '/createTask: expected an array'
    ],
    ['no script', undefined, 'the options: expected an object']
  ])('throws InvalidOptions for %s', (_, wrong, problem) => {
    const make = () => scriptedPost(wrong as ReturnType<typeof script>, new VirtualTimeScheduler())
    expect(make).toThrow(InvalidOptions)
    expect(make).toThrow(problem)
  })

  it('lists each call when it is subscribed to', () => {
    const { post, calls } = scriptedPost(script([replies.created()]), new VirtualTimeScheduler())
    const call = post('/createTask', BODY)
    expect(calls).toStrictEqual([])
    call.subscribe()
    expect(calls).toStrictEqual([{ path: '/createTask', body: BODY }])
  })

  it('errors for a path without a script', async () => {
    const { post } = scriptedPost(script([replies.created()]), new VirtualTimeScheduler())
    await expect(firstValueFrom(post('/getTaskResult', BODY))).rejects.toThrow(
      'the script has no reply to /getTaskResult'
    )
  })

  it(
    'serves a whole solve in virtual time',
    marbles(({ expectObservable }, scheduler) => {
      const polls = [replies.processing(), replies.ready('a-token')]
      const { post } = scriptedPost(script([replies.created('id-1')], polls), scheduler)
      const solver = createSolver({ clientKey: 'a-client-key', post, scheduler })
      const solved = {
        ref: { taskId: 'id-1', createdAt: 0 },
        solution: { gRecaptchaResponse: 'a-token' },
        readyAt: 6_000,
        useBefore: 63_000,
        expiresAt: 123_000
      }
      const expected = '6s (r|)'

      const task = recaptchaV2({ websiteURL: 'https://example.com', websiteKey: 'site-key' })
      expectObservable(solver.solve(task)).toBe(expected, { r: E.right(solved) })
    })
  )
})

describe('replies', () => {
  const none = { errorCode: null, errorDescription: null }

  it.each([
    ['created', replies.created(), { errorId: 0, errorCode: '', errorDescription: '', taskId: 'task-1' }],
    [
      'created with an id',
      replies.created('id-7'),
      { errorId: 0, errorCode: '', errorDescription: '', taskId: 'id-7' }
    ],
    ['processing', replies.processing(), { errorId: 0, ...none, status: 'processing' }],
    ['ready', replies.ready(), { errorId: 0, ...none, solution: { gRecaptchaResponse: 'token-1' }, status: 'ready' }],
    [
      'ready with a token',
      replies.ready('t'),
      { errorId: 0, ...none, solution: { gRecaptchaResponse: 't' }, status: 'ready' }
    ],
    ['refused', replies.refused('ERROR_X'), { errorId: 1, errorCode: 'ERROR_X', errorDescription: '' }],
    [
      'refused with a description',
      replies.refused('ERROR_X', 'no'),
      { errorId: 1, errorCode: 'ERROR_X', errorDescription: 'no' }
    ]
  ])('are the documented ones: %s', (_, scripted, document) => {
    expect(scripted).toStrictEqual({ document })
  })
})

describe('outcomes', () => {
  const error: SolveError = { _tag: 'InvalidTask', paid: 'no', problems: [] }

  it('may be a solution, with a default or a given reference', () => {
    expect(outcomes.solved('x')).toStrictEqual(
      E.right({ ref: { taskId: 'task-1', createdAt: 0 }, solution: 'x', readyAt: 0 })
    )
    const ref = { taskId: 'id-7', createdAt: 70 }
    expect(outcomes.solved('x', ref)).toStrictEqual(E.right({ ref, solution: 'x', readyAt: 70 }))
  })

  it('may be an error', () => {
    expect(outcomes.failed(error)).toStrictEqual(E.left(error))
  })
})

describe('stubSolver', () => {
  const task = recaptchaV2({ websiteURL: 'https://example.com', websiteKey: 'site-key' })
  const ref = { taskId: 'task-1', createdAt: 0 }

  it('has the given members', async () => {
    const outcome = outcomes.failed({ _tag: 'Interrupted', paid: 'yes', ref })
    const solver = stubSolver({ solve: () => of(outcome) })
    await expect(firstValueFrom(solver.solve(task))).resolves.toBe(outcome)
  })

  it.each<readonly [string, () => unknown]>([
    ['solve', () => stubSolver({}).solve(task)],
    ['solveWithProgress', () => stubSolver({}).solveWithProgress(task)],
    ['resume', () => stubSolver({}).resume(task, ref)],
    ['resumeWithProgress', () => stubSolver({}).resumeWithProgress(task, ref)],
    ['createTask', () => stubSolver({}).createTask(task)],
    ['getTaskResult', () => stubSolver({}).getTaskResult(task, ref)]
  ])('throws if %s is called but was not given', (name, call) => {
    expect(call).toThrow(`stubSolver: ${name} was called but not given`)
  })

  it.each<[string, unknown, string]>([
    ['a misspelt member', { createtask: () => NEVER }, 'createtask: unknown option (did you mean createTask?)'],
    ['a member that is no function', { solve: NEVER }, 'solve: expected a function'],
    ['events that are no Observable', { events: [] }, 'events: expected an Observable'],
    ['no members', undefined, 'the options: expected an object']
  ])('throws InvalidOptions for %s', (_, members, problem) => {
    const make = () => stubSolver(members as Partial<Solver>)
    expect(make).toThrow(InvalidOptions)
    expect(make).toThrow(problem)
  })

  it('returns itself from withOptions', () => {
    const solver = stubSolver({})
    expect(solver.withOptions({ label: 'x' })).toBe(solver)
  })

  it('has no orphans and no events, and its close resolves with none', async () => {
    const solver = stubSolver({})
    await expect(firstValueFrom(solver.orphans.pipe(toArray()))).resolves.toStrictEqual([])
    await expect(firstValueFrom(solver.events.pipe(toArray()))).resolves.toStrictEqual([])
    await expect(solver.close()).resolves.toStrictEqual([])
  })

  it('calls the given close at the end of an `await using` block', async () => {
    const close = jest.fn(() => Promise.resolve([]))
    {
      await using solver = stubSolver({ close })
      expect(solver.close).toBe(close)
      expect(close).not.toHaveBeenCalled()
    }
    expect(close).toHaveBeenCalledTimes(1)
  })
})
