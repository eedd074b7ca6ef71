import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { NEVER, toArray, type Observable } from 'rxjs'
import { InvalidOptions, defineCall, recaptchaV2, type Solver, type TaskRef, type TaskSpec } from 'rx-captcha'
import { marbles, outcomes, scriptedSolver, stubSolver, taskRef } from 'rx-captcha/testing'

const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: 'site-key' })
const ref = taskRef()
const getBalance = defineCall({ path: '/getBalance', reply: t.type({ balance: t.number }) })

/** A stub whose every member counts its calls. */
const countingStub = () => {
  const member = jest.fn(() => NEVER)
  const stub = stubSolver({
    ...{ solve: member, solveWithProgress: member, resume: member, resumeWithProgress: member },
    ...{ createTask: member, getTaskResult: member, solveAll: member, call: member }
  })
  return { stub, member }
}

const realSolver = (): Solver => scriptedSolver({}).solver

const problemsOfCall = (call: () => unknown): unknown => {
  try {
    return call()
  } catch (error) {
    return error instanceof InvalidOptions ? error.problems : error
  }
}

/** What a call emits at once; of `Settled` only the result, because its `at` and `solveId` differ between two solvers. */
const emittedBy = (called: Observable<unknown>): ReadonlyArray<unknown> => {
  const emitted: unknown[] = []
  called.subscribe((value) => emitted.push(isSettled(value) ? value.result : value))
  return emitted
}

const isSettled = (value: unknown): value is { readonly result: unknown } =>
  typeof value === 'object' && value !== null && 'result' in value

describe('stubSolver', () => {
  it.each<[string, (solver: Solver) => unknown, string]>([
    ['an unknown option of withOptions', (s) => s.withOptions({ lable: 'x' } as object), 'lable: unknown option'],
    ['an option of withOptions that cannot work', (s) => s.withOptions({ pollEveryMs: 0 }), 'pollEveryMs: expected'],
    ['a text as the items of solveAll', (s) => s.solveAll('abc', () => task), 'items: expected'],
    ['no function as toTask', (s) => s.solveAll([1], task as never), 'toTask: expected a function'],
    [
      'an unknown option of solveAll',
      (s) => s.solveAll([1], () => task, { concurency: 1 } as object),
      'concurency: unknown option'
    ],
    [
      'an option of solveAll that cannot work',
      (s) => s.solveAll([1], () => task, { concurrency: 0 }),
      'concurrency: expected'
    ],
    ['null as the options of solveAll', (s) => s.solveAll([1], () => task, null as never), 'the options: expected'],
    ['a path that no call has', (s) => s.call({ ...getBalance, path: 'getBalance' as '/' }), 'path: expected'],
    ['a grace that cannot work', (s) => s.close({ graceMs: -1 }), 'graceMs: expected'],
    ['null as the options of close', (s) => s.close(null as never), 'the options: expected']
  ])('throws InvalidOptions at once for %s, as a solver does', (_, call, problem) => {
    const { stub } = countingStub()
    const problems = problemsOfCall(() => call(stub))
    expect(problems).toStrictEqual([expect.stringContaining(problem)])
    expect(problems).toStrictEqual(problemsOfCall(() => call(realSolver())))
    expect(stub.calls).toStrictEqual([])
  })

  it('throws InvalidOptions for a withOptions that was given, too', () => {
    const stub = stubSolver({ withOptions: () => stubSolver() })
    expect(() => stub.withOptions({ giveUpAfterMs: 0 })).toThrow(InvalidOptions)
  })

  describe.each<[string, (solver: Solver, given: TaskSpec<never>) => Observable<unknown>]>([
    ['solve', (s, given) => s.solve(given)],
    ['solveWithProgress', (s, given) => s.solveWithProgress(given)],
    ['createTask', (s, given) => s.createTask(given)]
  ])('%s', (_, call) => {
    it.each<[string, unknown]>([
      ['no task', undefined],
      ['an empty object', {}],
      ['a kind without its fields', recaptchaV2],
      ['a payload that is no object', { ...task, payload: E.right([]) }],
      ['a task without a decoder', { ...task, solution: undefined }]
    ])('ends %s as InvalidTask, as a solver does', (__, given) => {
      const { stub, member } = countingStub()
      const emitted = emittedBy(call(stub, given as TaskSpec<never>))
      expect(emitted).toMatchObject([{ left: { _tag: 'InvalidTask', paid: 'no' } }])
      expect(emitted).toStrictEqual(emittedBy(call(realSolver(), given as TaskSpec<never>)))
      expect(member).not.toHaveBeenCalled()
    })

    it('ends as NotCreated after close, as with a solver', async () => {
      const [{ stub, member }, solver] = [countingStub(), realSolver()]
      await Promise.all([stub.close(), solver.close()])
      const emitted = emittedBy(call(stub, task as TaskSpec<never>))
      expect(emitted).toMatchObject([{ left: { _tag: 'NotCreated', reason: 'closed' } }])
      expect(emitted).toStrictEqual(emittedBy(call(solver, task as TaskSpec<never>)))
      expect(member).not.toHaveBeenCalled()
    })

    it('ends an invalid task as NotCreated after close, as with a solver', async () => {
      const [{ stub }, solver] = [countingStub(), realSolver()]
      await Promise.all([stub.close(), solver.close()])
      const emitted = emittedBy(call(stub, {} as TaskSpec<never>))
      expect(emitted).toMatchObject([{ left: { _tag: 'NotCreated' } }])
      expect(emitted).toStrictEqual(emittedBy(call(solver, {} as TaskSpec<never>)))
    })
  })

  describe.each<[string, (solver: Solver, kind: typeof recaptchaV2, given: TaskRef) => Observable<unknown>]>([
    ['resume', (s, kind, given) => s.resume(kind, given)],
    ['resumeWithProgress', (s, kind, given) => s.resumeWithProgress(kind, given)],
    ['getTaskResult', (s, kind, given) => s.getTaskResult(kind, given)]
  ])('%s', (name, call) => {
    it.each<[string, unknown, unknown]>([
      ['an empty id', recaptchaV2, taskRef({ taskId: '' })],
      ['an empty reference', recaptchaV2, {}],
      ['an id in place of a reference', recaptchaV2, 'task-1'],
      ['a reference without a kind', undefined, ref]
    ])('ends %s as InvalidTask, as a solver does', (_, kind, given) => {
      const { stub, member } = countingStub()
      const emitted = emittedBy(call(stub, kind as typeof recaptchaV2, given as TaskRef))
      expect(emitted).toMatchObject([{ left: { _tag: 'InvalidTask', paid: 'no' } }])
      expect(emitted).toStrictEqual(emittedBy(call(realSolver(), kind as typeof recaptchaV2, given as TaskRef)))
      expect(member).not.toHaveBeenCalled()
    })

    it('records what is wrong with a reference', () => {
      const { stub } = countingStub()
      call(stub, recaptchaV2, taskRef({ taskId: '' })).subscribe()
      expect(stub.calls).toStrictEqual([
        { member: name, problems: ['ref.taskId: expected a string that is not empty'] }
      ])
    })

    it('gives the function a reference without other properties, which a solver drops', () => {
      const { stub, member } = countingStub()
      call(stub, recaptchaV2, { ...ref, row: 7 } as TaskRef).subscribe()
      expect(member.mock.calls).toStrictEqual([[recaptchaV2, ref]])
    })

    it('ends as Interrupted with the reference after close, as with a solver', async () => {
      const [{ stub, member }, solver] = [countingStub(), realSolver()]
      await Promise.all([stub.close(), solver.close()])
      const emitted = emittedBy(call(stub, recaptchaV2, ref))
      expect(emitted).toMatchObject([{ left: { _tag: 'Interrupted', ref } }])
      expect(emitted).toStrictEqual(emittedBy(call(solver, recaptchaV2, ref)))
      expect(member).not.toHaveBeenCalled()
    })

    it('ends an invalid reference as NotCreated after close, as with a solver', async () => {
      const [{ stub }, solver] = [countingStub(), realSolver()]
      await Promise.all([stub.close(), solver.close()])
      const emitted = emittedBy(call(stub, recaptchaV2, {} as TaskRef))
      expect(emitted).toMatchObject([{ left: { _tag: 'NotCreated' } }])
      expect(emitted).toStrictEqual(emittedBy(call(solver, recaptchaV2, {} as TaskRef)))
    })
  })

  it('completes solveAll without an outcome after close, as a solver does', async () => {
    const { stub, member } = countingStub()
    await stub.close()
    const batches: unknown[] = []
    stub
      .solveAll([1], () => task)
      .pipe(toArray())
      .subscribe((all) => batches.push(all))
    expect(batches).toStrictEqual([[]])
    expect(member).not.toHaveBeenCalled()
  })

  it('ends another call as CallFailed after close, as a solver does', async () => {
    const [{ stub, member }, solver] = [countingStub(), realSolver()]
    await Promise.all([stub.close(), solver.close()])
    const emitted = emittedBy(stub.call(getBalance))
    expect(emitted).toMatchObject([{ left: { _tag: 'CallFailed', cause: { code: 'CLOSED' } } }])
    expect(emitted).toStrictEqual(emittedBy(solver.call(getBalance)))
    expect(member).not.toHaveBeenCalled()
  })

  it('is closed in every scope once it is closed in one', async () => {
    const { stub } = countingStub()
    await stub.withOptions({ label: 'orders' }).close()
    expect(emittedBy(stub.solve(task))).toMatchObject([{ left: { _tag: 'NotCreated' } }])
  })

  it('records a call after close', async () => {
    const { stub } = countingStub()
    await stub.close()
    stub.resume(recaptchaV2, ref).subscribe()
    expect(stub.calls).toStrictEqual([{ member: 'close' }, { member: 'resume', ref }])
  })

  it('returns the promise of the first close from every later one, and closes once', () => {
    const close = jest.fn(() => Promise.resolve([]))
    const stub = stubSolver({ close })
    const first = stub.close({ graceMs: 5 })
    expect(stub.close()).toBe(first)
    expect(close.mock.calls).toStrictEqual([[{ graceMs: 5 }]])
  })

  it('returns the same promise to a subscriber that closes when `orphans` completes', () => {
    const close = jest.fn(() => Promise.resolve([]))
    const stub = stubSolver({ close })
    const promises: unknown[] = []
    stub.orphans.subscribe({ complete: () => promises.push(stub.close()) })
    expect(promises).toStrictEqual([])
    promises.push(stub.close())
    expect(promises[0]).toBe(promises[1])
    expect(close).toHaveBeenCalledTimes(1)
  })

  it(
    'emits after close what a solve emits that was subscribed to before',
    marbles(({ cold, expectObservable, scheduler }) => {
      const solving = cold('     -----(s|)', { s: outcomes.Solved() })
      const stub = stubSolver({ solve: () => solving })
      scheduler.schedule(() => void stub.close(), 2)
      expectObservable(stub.solve(task)).toBe('-----(s|)', { s: outcomes.Solved() })
    })
  )

  it('keeps an option for which another withOptions gives undefined, as a solver does', () => {
    const { stub } = countingStub()
    stub.withOptions({ label: 'orders' }).withOptions({ label: undefined }).resume(recaptchaV2, ref).subscribe()
    expect(stub.calls).toStrictEqual([{ member: 'resume', ref, options: { label: 'orders' } }])
  })
})
