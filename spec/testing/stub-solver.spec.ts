import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { NEVER, firstValueFrom, lastValueFrom, from, map, of, toArray, type Observable } from 'rxjs'
import { InvalidOptions, defineCall, defineTask, recaptchaV2, type SolverEvent, type TaskEvent } from 'rx-captcha'
import { orphan, outcomes, stubSolver, taskRef, type StubMembers } from 'rx-captcha/testing'

const fields = { websiteURL: 'https://example.com/', websiteKey: 'site-key' }
const payload = { type: 'RecaptchaV2TaskProxyless', ...fields }
const task = recaptchaV2(fields)
const invalidTask = recaptchaV2({ ...fields, websiteURL: 'example.com' })
const ref = taskRef()
const settled = (solution: unknown): TaskEvent<unknown> => ({
  at: 0,
  solveId: 1,
  _tag: 'Settled',
  result: outcomes.Solved({ solution })
})

/** A stub whose every member emits this solution. */
const solvingWith = (solution: unknown) =>
  stubSolver({
    solve: () => of(outcomes.Solved({ solution })),
    solveWithProgress: () => [settled(solution)],
    resume: () => Promise.resolve(outcomes.Solved({ solution })),
    resumeWithProgress: () => of(settled(solution)),
    createTask: () => [E.right(ref)],
    getTaskResult: () => [E.right({ _tag: 'Ready', solution })]
  })

/** Each cold member, called on a stub. */
const members: ReadonlyArray<readonly [string, (stub: ReturnType<typeof stubSolver>) => Observable<unknown>]> = [
  ['solve', ({ solve }) => solve(task)],
  ['solveWithProgress', ({ solveWithProgress }) => solveWithProgress(task)],
  ['resume', ({ resume }) => resume(recaptchaV2, ref)],
  ['resumeWithProgress', ({ resumeWithProgress }) => resumeWithProgress(recaptchaV2, ref)],
  ['createTask', ({ createTask }) => createTask(task)],
  ['getTaskResult', ({ getTaskResult }) => getTaskResult(recaptchaV2, ref)],
  ['solveAll', ({ solveAll }) => solveAll([1], () => task)]
]
const withSolution = members.filter(([name]) => !['createTask', 'solveAll'].includes(name))
const byTask = members.filter(([name]) => ['solve', 'solveWithProgress', 'createTask'].includes(name))

describe('stubSolver', () => {
  it.each(members)('throws an error that names the member if %s is called but was not given', (name, call) => {
    expect(() => call(stubSolver())).toThrow(`stubSolver: ${name} was called but not given`)
  })

  it('has the given members, with the type of the task', async () => {
    const stub = solvingWith({ gRecaptchaResponse: 'a-token' })
    const result = await firstValueFrom(stub.solve(task))
    const token: string = E.isRight(result) ? result.right.solution.gRecaptchaResponse : ''
    expect(token).toBe('a-token')
    await expect(firstValueFrom(stub.createTask(task))).resolves.toStrictEqual(E.right(ref))
  })

  it('takes events, states and outcomes as literals in an array', async () => {
    const stub = stubSolver({
      solve: () => [outcomes.Refused()],
      solveWithProgress: () => [
        { at: 0, solveId: 1, _tag: 'Created', ref },
        { at: 6_000, solveId: 1, _tag: 'Settled', result: outcomes.Solved() }
      ],
      events: [
        { at: 0, solveId: 1, _tag: 'Created', ref },
        { at: 6_000, batchId: 1, _tag: 'Skipped', key: 'a' }
      ]
    })
    const emitted = await firstValueFrom(stub.solveWithProgress(task).pipe(toArray()))
    expect(emitted.map(({ _tag }) => _tag)).toStrictEqual(['Created', 'Settled'])
    await expect(firstValueFrom(stub.solve(task))).resolves.toStrictEqual(outcomes.Refused())
  })

  it('passes the events and states on that hold no solution', async () => {
    const created: TaskEvent<never> = { at: 3, solveId: 1, _tag: 'Created', ref }
    const stub = stubSolver({
      solveWithProgress: () => [created],
      getTaskResult: () => [E.right({ _tag: 'Processing' })]
    })
    await expect(firstValueFrom(stub.solveWithProgress(task))).resolves.toBe(created)
    await expect(firstValueFrom(stub.getTaskResult(task, ref))).resolves.toStrictEqual(E.right({ _tag: 'Processing' }))
  })

  it.each(members)('records a call of %s when it is subscribed to, not before', (name, call) => {
    const all = { ...solvingWith({ gRecaptchaResponse: 'a-token' }), solveAll: () => NEVER }
    const { calls: _calls, orphans: _orphans, events: _events, withOptions: _withOptions, ...given } = all
    const stub = stubSolver(given)
    const called = call(stub)
    expect(stub.calls).toStrictEqual([])

    called.subscribe()
    called.subscribe()
    const asked = name === 'solveAll' ? { items: [1] } : byTask.some(([one]) => one === name) ? { payload } : { ref }
    expect(stub.calls).toStrictEqual([
      { member: name, ...asked },
      { member: name, ...asked }
    ])
  })

  it('gives solveAll the items, the function and the options', async () => {
    const stub = stubSolver({
      solveAll: (items, toTask, options) =>
        from(items)
          .pipe(map((item, index) => ({ index, item, result: outcomes.Refused({ errorCode: toTask(item).type }) })))
          .pipe(map((outcome) => ({ ...outcome, index: outcome.index + (options?.concurrency ?? 0) })))
    })
    const batch = stub.solveAll(['a', 'b'], () => task, { concurrency: 5 })
    await expect(lastValueFrom(batch)).resolves.toStrictEqual({
      index: 6,
      item: 'b',
      result: outcomes.Refused({ errorCode: 'RecaptchaV2TaskProxyless' })
    })
  })

  it.each(byTask)('ends an invalid task as InvalidTask in %s without calling the given function', async (name) => {
    const stub = stubSolver({ [name]: () => NEVER })
    const problems = ['websiteURL: expected an address that begins with http:// or https://']
    const { left: error } = outcomes.InvalidTask({ problems })
    const solving = { ...stub }[name as 'solve'](invalidTask)
    const emitted: unknown = await firstValueFrom(solving)
    expect(emitted).toStrictEqual(
      name === 'solveWithProgress' ? { at: 0, solveId: 0, _tag: 'Settled', result: E.left(error) } : E.left(error)
    )
    expect(stub.calls).toStrictEqual([{ member: name, problems }])
  })

  it.each(withSolution)('errors if %s emits a solution that the task cannot have', async (name, call) => {
    const stub = solvingWith({ gRecaptchaRespnse: 'a-token' })
    await expect(firstValueFrom(call(stub))).rejects.toThrow(
      `stubSolver: ${name} emitted a solution that this kind of task cannot have; expected`
    )
  })

  it('checks a solution, not what the decoder makes it from', async () => {
    const Count = new t.Type<number, string>(
      'a count',
      t.number.is,
      (value, context) => (t.string.is(value) ? t.success(value.length) : t.failure(value, context)),
      String
    )
    const counted = defineTask({ type: 'CountTask', fields: t.type({ n: t.number }), solution: Count })
    await expect(firstValueFrom(solvingWith(7).solve(counted({ n: 1 })))).resolves.toMatchObject(
      outcomes.Solved({ solution: 7 })
    )
    await expect(firstValueFrom(solvingWith('7').solve(counted({ n: 1 })))).rejects.toThrow('expected a count')
  })

  it('accepts any solution if the decoder cannot check one', async () => {
    const solution = { name: 'anything', validate: t.number.validate, decode: t.number.decode }
    const kind = defineTask({ type: 'CountTask', fields: t.type({ n: t.number }), solution })
    await expect(firstValueFrom(solvingWith(7).solve(kind({ n: 1 })))).resolves.toMatchObject({ _tag: 'Right' })
  })

  it('returns the same stub from withOptions, and notes the options in its calls', () => {
    const stub = solvingWith({ gRecaptchaResponse: 'a-token' })
    const scoped = stub.withOptions({ label: 'orders' }).withOptions({ pollEveryMs: 7 })
    scoped.solve(task).subscribe()
    stub.solve(task).subscribe()
    expect(stub.calls).toStrictEqual([
      { member: 'solve', payload, options: { label: 'orders', pollEveryMs: 7 } },
      { member: 'solve', payload }
    ])
  })

  it('has the given withOptions, orphans, events and close', async () => {
    const [other, left] = [stubSolver(), orphan()]
    const event: SolverEvent = { at: 0, batchId: 1, _tag: 'Skipped', key: 'a' }
    const stub = stubSolver({
      withOptions: () => other,
      orphans: of(left),
      events: [event],
      close: ({ graceMs = 0 } = {}) => Promise.resolve(graceMs > 0 ? [left] : [])
    })
    expect(stub.withOptions({})).toBe(other)
    await expect(firstValueFrom(stub.orphans)).resolves.toBe(left)
    await expect(firstValueFrom(stub.events)).resolves.toBe(event)
    await expect(stub.close({ graceMs: 5 })).resolves.toStrictEqual([left])
    await stub.close()
    expect(stub.calls).toStrictEqual([{ member: 'close', options: { graceMs: 5 } }, { member: 'close' }])
  })

  it('emits no orphans and no events by default, and completes both when it is closed', async () => {
    const stub = stubSolver()
    const ended: unknown[] = []
    stub.orphans.pipe(toArray()).subscribe((all) => ended.push(all))
    stub.events.pipe(toArray()).subscribe((all) => ended.push(all))
    expect(ended).toStrictEqual([])
    await expect(stub.close()).resolves.toStrictEqual([])
    expect(ended).toStrictEqual([[], []])
  })

  it.each<[string, unknown, string]>([
    ['a misspelt member', { createtask: () => NEVER }, 'createtask: unknown option (did you mean createTask?)'],
    ['a member that is no function', { solve: NEVER }, 'solve: expected a function'],
    ['events that are no source', { events: 7 }, 'events: expected an Observable, an array'],
    ['null', null, 'the options: expected an object']
  ])('throws InvalidOptions for %s', (_, given, problem) => {
    const make = () => stubSolver(given as StubMembers)
    expect(make).toThrow(InvalidOptions)
    expect(make).toThrow(problem)
  })

  it('makes other calls with the given function, and records their paths', async () => {
    const getBalance = defineCall({ path: '/getBalance', reply: t.type({ balance: t.number }) })
    const stub = stubSolver({ call: () => [E.right({ balance: 7 })] })
    await expect(firstValueFrom(stub.call(getBalance))).resolves.toStrictEqual(E.right({ balance: 7 }))
    expect(stub.calls).toStrictEqual([{ member: 'call', path: '/getBalance' }])
    expect(() => stubSolver().call(getBalance)).toThrow('stubSolver: call was called but not given')
  })

  it('counts no tasks unless counts is given', () => {
    expect(stubSolver().counts()).toStrictEqual({ open: 0, waiting: 0 })
    expect(stubSolver({ counts: () => ({ open: 2, waiting: 1 }) }).counts()).toStrictEqual({ open: 2, waiting: 1 })
  })

  it('calls the given close at the end of an `await using` block', async () => {
    const close = jest.fn(() => Promise.resolve([]))
    {
      await using stub = stubSolver({ close })
      expect(stub.calls).toStrictEqual([])
      expect(close).not.toHaveBeenCalled()
    }
    expect(close).toHaveBeenCalledTimes(1)
  })
})
