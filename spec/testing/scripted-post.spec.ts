import { VirtualTimeScheduler, firstValueFrom, toArray } from 'rxjs'
import { InvalidOptions, type CallPath, type NetworkEvent } from 'rx-captcha'
import { replies, scriptedPost, type Script, type Scripted } from 'rx-captcha/testing'

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

  it.each<readonly [string, Scripted]>([
    ['a failure', { failed: {}, received: { status: 200, body: '{"taskId' } }],
    ['silence', { silent: true, received: { status: 200, body: '{"taskId' } }]
  ])('has what arrived of the reply before %s', (_, entry) => {
    const received = { status: 200, body: '{"taskId' }
    const [first, last] = eventsOf(entry).map(([, event]) => event)
    expect(first !== 'end' && first?._tag === 'Sent' && first.received?.()).toStrictEqual(received)
    expect(last).toStrictEqual(
      'failed' in entry ? { _tag: 'Failed', cause: { ...cause, code: '' }, received } : undefined
    )
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
    ['an entry that is no reply', { '/createTask': ['created'] }, '/createTask: expected an array of replies'],
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

  it('replies with what a function returns for the body and the number of the call', async () => {
    const { post } = scriptedPost({ '/getTaskResult': ({ taskId }, nth) => ({ body: `${String(taskId)} ${nth}` }) })
    const bodyOf = async (taskId: string) => {
      const [, reply] = await firstValueFrom(post('/getTaskResult', { ...BODY, taskId }).pipe(toArray()))
      return reply?._tag === 'Reply' && reply.body
    }
    expect([await bodyOf('a'), await bodyOf('b')]).toStrictEqual(['a 1', 'b 2'])
  })

  it('lists each call when it is subscribed to, and how it ended', () => {
    const scheduler = new VirtualTimeScheduler()
    const failing: Scripted = { failed: { code: 'ECONNRESET' } }
    const { post, calls } = scriptedPost(
      script([{ ...replies.created(), afterMs: 20 }], [failing, { silent: true }, { silent: true }]),
      scheduler
    )
    const call = post('/createTask', BODY)
    expect(calls).toStrictEqual([])

    call.subscribe()
    post('/getTaskResult', BODY).subscribe()
    const left = post('/getTaskResult', BODY).subscribe()
    scheduler.schedule(() => left.unsubscribe(), 7)
    post('/getTaskResult', BODY).subscribe()
    scheduler.flush()

    const create = { path: '/createTask', body: BODY, at: 0 }
    const poll = { path: '/getTaskResult', body: BODY, at: 0 }
    expect(calls).toStrictEqual([
      { ...create, nth: 1, end: 'replied', endedAt: 20 },
      { ...poll, nth: 1, end: 'failed', endedAt: 0 },
      { ...poll, nth: 2, end: 'unsubscribed', endedAt: 7 },
      { ...poll, nth: 3, end: 'open' }
    ])
  })

  it('counts the calls of each path, and those that were unsubscribed from before their reply', () => {
    const { post, counts } = scriptedPost(script([replies.created()], [{ silent: true }]), new VirtualTimeScheduler())
    const none = { calls: 0, unsubscribed: 0 }
    expect(counts()).toStrictEqual({ '/createTask': none, '/getTaskResult': none })

    post('/createTask', BODY).subscribe().unsubscribe()
    post('/getTaskResult', BODY).subscribe().unsubscribe()
    post('/getTaskResult', BODY).subscribe()
    expect(counts()).toStrictEqual({
      '/createTask': { calls: 1, unsubscribed: 0 },
      '/getTaskResult': { calls: 2, unsubscribed: 1 }
    })
  })

  it.each<readonly [string, Script]>([
    ['is left out', { '/createTask': [replies.created()] }],
    ['has no entry', script([], [])]
  ])('errors for a call of a path that %s', async (_, given) => {
    const { post, calls } = scriptedPost(given)
    await expect(firstValueFrom(post('/getTaskResult', BODY))).rejects.toThrow(
      'the script has no reply to /getTaskResult (call 1 of this path)'
    )
    expect(calls).toMatchObject([{ end: 'unscripted' }])
  })

  it('measures delays by the timers of Node by default', () => {
    jest.useFakeTimers()
    const { post } = scriptedPost({ '/createTask': [{ ...replies.created(), afterMs: 2_000 }] })
    const tags: string[] = []
    post('/createTask', BODY).subscribe(({ _tag }) => tags.push(_tag))
    jest.advanceTimersByTime(1_999)
    expect(tags).toStrictEqual(['Sent'])
    jest.advanceTimersByTime(1)
    jest.useRealTimers()
    expect(tags).toStrictEqual(['Sent', 'Reply'])
  })
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
      'ready with another solution',
      replies.ready({ text: 'abc' }),
      { errorId: 0, ...none, solution: { text: 'abc' }, status: 'ready' }
    ],
    [
      'refused with a description',
      replies.refused('ERROR_X', 'no'),
      { errorId: 1, errorCode: 'ERROR_X', errorDescription: 'no' }
    ]
  ])('are the documented ones: %s', (_, scripted, document) => {
    expect(scripted).toStrictEqual({ document })
  })
})
