import { join } from 'node:path'
import type * as E from 'fp-ts/lib/Either.js'
import type * as TE from 'fp-ts/lib/TaskEither.js'
import * as t from 'io-ts'
import { NEVER, mergeMap, of, type Observable } from 'rxjs'
import * as main from 'rx-captcha'
import {
  InvalidOptions,
  advise,
  createSolver,
  defineTask,
  explain,
  orThrow,
  recaptchaV2,
  retryLeft,
  toTaskEither,
  type RecaptchaV2Solution,
  type SolutionOf,
  type SolveError,
  type Solved,
  type SolverOptions,
  type TaskEvent,
  type TaskKind,
  type TaskRef,
  type TaskSpec,
  type TaskState
} from 'rx-captcha'
import * as emulator from 'rx-captcha/emulator'
import * as journal from 'rx-captcha/journal'
import * as testing from 'rx-captcha/testing'
import { libDeclarations } from './support/built.js'

let declarations: ReturnType<typeof libDeclarations> = {}
beforeAll(() => {
  declarations = libDeclarations()
})

/** The names of the types that a module exports. */
const typesOf = (file: string): ReadonlyArray<string> => {
  const text = declarations[file]!
  const listed = Array.from(text.matchAll(/^export (type )?\{([^}]*)\}/gm), ([, all, names = '']) =>
    names.split(',').filter((name) => all !== undefined || name.trim().startsWith('type '))
  )
  const declared = Array.from(
    text.matchAll(/^export (?:interface|type) (\w+)|^export (\*)/gm),
    ([, name, all]) => name ?? all
  )
  return [...listed.flat(), ...declared].map((name = '') => name.trim().split(' ').at(-1)!).sort()
}

/** The files of lib whose declarations a user's compiler reads with those of a module, itself included. */
const declaredBy = (file: string, found = new Set<string>()): ReadonlySet<string> => {
  found.add(file)
  for (const [, path = ''] of declarations[file]!.matchAll(/ from '(\.[^']+)\.js'/g)) {
    const imported = join(file, '..', `${path}.d.ts`)
    if (!found.has(imported)) declaredBy(imported, found)
  }
  return found
}

const namesIn = (names: string): ReadonlyArray<string> => names.trim().split(/\s+/).sort()

describe('the exports of', () => {
  const entries: ReadonlyArray<readonly [string, object, string, values: string, types: string]> = [
    [
      'rx-captcha',
      main,
      'index.d.ts',
      'createSolver recaptchaV2 defineCall defineTask advise explain entryAfter jsonText orThrow retryLeft toTaskEither InvalidOptions SolveFailure',
      `Solver AsyncDisposal SolverCounts SolverOptions UndiciDispatcher ScopeOptions RetryOptions SolveResult
       Problems RecaptchaV2Fields RecaptchaV2Solution Resumable SolutionOf Solved TaskKind TaskRef TaskSpec TaskState
       BadReply CreateUnknown ReplyProblem Interrupted InvalidTask ErrorKind NotCreated Refused SolveError TaskFailed TimedOut
       Advice BatchOptions JournalEntry Journal CodeMeaning Orphan Outcome EventMeta SolveMeta BatchMeta SolverEvent SolverEventBody SolveEventBody BatchEventBody
       Started CreateSent CreateEnded PollEnded Ended TaskEvent TaskStep CallResult ErrorCause JsonValue CallPath Post NetworkEvent PartialReply RequestBody ServicePath
       CallFailed CallSpec`
    ],
    [
      'rx-captcha/testing',
      testing,
      'testing/index.d.ts',
      'marbles orphan outcomes replies scriptedPost scriptedSolver stubSolver taskRef',
      `CallCounts Given MarbleHelpers OutcomeBuilders Script Scripted ScriptedDocument ScriptedNetwork ScriptedOptions ScriptedSolver
       SeenCall StubCall StubMembers StubSolver`
    ],
    [
      'rx-captcha/emulator',
      emulator,
      'emulator/index.d.ts',
      'EMULATOR_KEY startEmulator',
      'Counters Emulator EmulatorOptions Fault FaultName FaultReply FaultRule TaskRecord VerifyErrorCode When'
    ],
    ['rx-captcha/journal', journal, 'journal/index.d.ts', 'JournalError fileJournal', 'FileJournal']
  ]

  it.each(entries)('%s are exactly the listed values', (_, module, _file, values) => {
    expect(Object.keys(module).sort()).toStrictEqual(namesIn(values))
  })

  it.each(entries)('%s are exactly the listed types', (_, _module, file, _values, types) => {
    expect(typesOf(file)).toStrictEqual(namesIn(types))
  })
})

describe('the declarations of rx-captcha/emulator', () => {
  it('show neither the table of faults nor the ledger', () => {
    const files = ['emulator/faults/fault.d.ts', 'emulator/index.d.ts', 'emulator/model.d.ts']
    expect([...declaredBy('emulator/index.d.ts')].sort()).toStrictEqual(files)
    expect(declaredBy('emulator/service.d.ts')).toContain('emulator/ledger.d.ts') // so the check above can fail
  })
})

describe('importing', () => {
  const heavy = ['commander', 'cli-progress', 'proper-lockfile', 'rx-captcha/emulator', 'bullmq', 'ioredis']

  /** The heavy modules that are loaded with an entry, in a fresh module registry. */
  const loadedWith = (entry: string): ReadonlyArray<string> => {
    const loaded: string[] = []
    jest.isolateModules(() => {
      for (const name of heavy) {
        jest.doMock(name, () => {
          loaded.push(name)
          return jest.requireActual<object>(name)
        })
      }
      jest.requireActual<object>(entry)
      for (const name of heavy) jest.dontMock(name)
    })
    return loaded.sort()
  }

  it.each(['rx-captcha', 'rx-captcha/testing'])(
    '%s loads neither the command line nor the emulator nor the journal nor a queue',
    (entry) => {
      expect(loadedWith(entry)).toStrictEqual([])
    }
  )

  it.each([
    ['../lib/cli/run.ts', ['cli-progress', 'commander']],
    ['./support/raw-http.ts', ['rx-captcha/emulator']],
    ['rx-captcha/journal', ['proper-lockfile']],
    ['./support/queue.ts', ['bullmq', 'ioredis', 'rx-captcha/emulator']]
  ])('%s loads %j, which shows that the check above can fail', (entry, loaded) => {
    expect(loadedWith(entry)).toStrictEqual(loaded)
  })
})

/* eslint-disable @typescript-eslint/no-unnecessary-type-parameters -- only two such functions distinguish an inner `any` */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/* eslint-enable @typescript-eslint/no-unnecessary-type-parameters */

/** Compiles with `true` only if both types are the same. */
const isSame = <A, B>(same: Same<A, B>): boolean => same

/** Compiles with `true` only if the value is of exactly this type. */
const isOf =
  <Expected>() =>
  <Actual>(_value: Actual, same: Same<Actual, Expected>): boolean =>
    same

describe('the public types', () => {
  const post = () => NEVER
  const solver = createSolver({ clientKey: 'a-client-key', post })
  const fields = { websiteURL: 'https://example.com', websiteKey: 'site-key' }
  const ref: TaskRef = { taskId: 'task-1', createdAt: 0 }
  const counted = defineTask({ type: 'CountTask', fields: t.type({ n: t.number }), solution: t.number })

  it('hold the type of the solution in the result of a solve', () => {
    const solving = solver.solve(recaptchaV2(fields))
    const events = solver.solveWithProgress(counted({ n: 1 }))
    expect(isOf<Observable<E.Either<SolveError, Solved<RecaptchaV2Solution>>>>()(solving, true)).toBe(true)
    expect(isOf<Observable<TaskEvent<number>>>()(events, true)).toBe(true)
  })

  it('hold the type of the solution if a task is resumed by its kind, or by the task itself', () => {
    const byKind = solver.resume(recaptchaV2, ref)
    const byTask = solver.resume(counted({ n: 1 }), ref)
    const once = solver.getTaskResult(counted, ref)
    expect(isOf<Observable<E.Either<SolveError, Solved<RecaptchaV2Solution>>>>()(byKind, true)).toBe(true)
    expect(isOf<Observable<E.Either<SolveError, Solved<number>>>>()(byTask, true)).toBe(true)
    expect(isOf<Observable<E.Either<SolveError, TaskState<number>>>>()(once, true)).toBe(true)
  })

  it('hold the reference in the result of createTask', () => {
    const creating = solver.createTask(counted({ n: 1 }))
    expect(isOf<Observable<E.Either<SolveError, TaskRef>>>()(creating, true)).toBe(true)
  })

  it('allow members to be passed unbound', () => {
    const solved = of(recaptchaV2(fields)).pipe(mergeMap(solver.solve, 20))
    expect(isOf<Observable<E.Either<SolveError, Solved<RecaptchaV2Solution>>>>()(solved, true)).toBe(true)
  })

  it('make a union of the solutions of different kinds', () => {
    const tasks = [recaptchaV2(fields), counted({ n: 1 })]
    expect(isOf<TaskSpec<RecaptchaV2Solution> | TaskSpec<number>>()(tasks[0]!, true)).toBe(true)
    expect(isSame<SolutionOf<TaskSpec<string> | TaskSpec<number>>, string | number>(true)).toBe(true)
    expect(isSame<SolutionOf<string>, never>(true)).toBe(true)
  })

  it('are kept by the operators', () => {
    const source = solver.solve(counted({ n: 1 }))
    const thrown = source.pipe(retryLeft({ count: 1 }), orThrow())
    const task = toTaskEither(source)
    expect(isOf<Observable<Solved<number>>>()(thrown, true)).toBe(true)
    expect(isOf<TE.TaskEither<SolveError, Solved<number>>>()(task, true)).toBe(true)
  })

  it('accept environment variables as options', () => {
    const { NO_SUCH_KEY, NO_SUCH_URL } = process.env
    const options: SolverOptions = { clientKey: NO_SUCH_KEY ?? 'a-client-key', baseUrl: NO_SUCH_URL }
    expect(() => createSolver(options)).not.toThrow()
  })

  it('accept undefined for every optional field', () => {
    const none: { readonly [K in keyof Omit<Required<SolverOptions>, 'clientKey'>]: undefined } = {
      ...{ baseUrl: undefined, pollEveryMs: undefined, giveUpAfterMs: undefined, createTimeoutMs: undefined },
      ...{
        resultTimeoutMs: undefined,
        createsPerSecond: undefined,
        maxOpenTasks: undefined,
        maxReplyBytes: undefined,
        meaningOf: undefined
      },
      ...{ dispatcher: undefined, post: undefined, scheduler: undefined, random: undefined }
    }
    expect(() => createSolver({ clientKey: 'a-client-key', ...none })).not.toThrow()
    expect(() => solver.withOptions({ label: undefined, giveUpAfterMs: undefined })).not.toThrow()
  })

  it('accept undefined as `numeric` of a reference', () => {
    const given: TaskRef = { ...ref, numeric: undefined }
    expect(() => solver.resume(recaptchaV2, given)).not.toThrow()
  })

  it('accept a journal that may be undefined, with the keys for it', () => {
    const options: { readonly journal: main.Journal | undefined; readonly keyOf: (item: string) => string } = {
      journal: undefined,
      keyOf: String
    }
    expect(() => solver.solveAll(['a'], () => counted({ n: 1 }), options)).not.toThrow()
  })

  it('accept a journal and its keys that are spread if there is a journal', () => {
    const optionsWith = (given: main.Journal | undefined): main.BatchOptions<string> => ({
      concurrency: 2,
      ...(given && { journal: given, keyOf: String })
    })
    expect(() => solver.solveAll(['a'], () => counted({ n: 1 }), optionsWith(undefined))).not.toThrow()
  })

  it('require the keys for a journal', () => {
    const wrong = (given: main.Journal, maybe: main.Journal | undefined): ReadonlyArray<unknown> => [
      // @ts-expect-error the keys are missing
      solver.solveAll(['a'], () => counted({ n: 1 }), { journal: given }),
      // @ts-expect-error the keys are missing
      solver.solveAll(['a'], () => counted({ n: 1 }), { journal: maybe })
    ]
    expect(wrong).toBeInstanceOf(Function) // compiled, not run
  })

  it('close the set of errors, so that a switch needs no default', () => {
    const paidOrTaskId = (error: SolveError): string => {
      switch (error._tag) {
        case 'InvalidTask':
        case 'NotCreated':
        case 'Refused':
          return error.paid
        case 'CreateUnknown':
          return error.paid
        case 'TaskFailed':
        case 'BadReply':
        case 'TimedOut':
        case 'Interrupted':
          return error.ref.taskId
      }
    }
    expect(paidOrTaskId({ _tag: 'Interrupted', paid: 'yes', ref })).toBe('task-1')
  })

  it('give every paid error a reference', () => {
    type Paid = Extract<SolveError, { readonly paid: 'yes' }>
    const refOf = (error: Paid): TaskRef => error.ref
    expect(isSame<Paid['_tag'], 'TaskFailed' | 'BadReply' | 'TimedOut' | 'Interrupted'>(true)).toBe(true)
    expect(refOf({ _tag: 'Interrupted', paid: 'yes', ref })).toBe(ref)
  })

  it('allow a kind of defineTask wherever a TaskKind is expected', () => {
    const kind: TaskKind<{ n: number }, number> = counted
    const spec: TaskSpec<number> = kind({ n: 1 })
    expect(spec.type).toBe('CountTask')
  })

  it('reject wrong calls', () => {
    const wrong = (error: SolveError): ReadonlyArray<unknown> => [
      // @ts-expect-error a client key is required
      createSolver({}),
      // @ts-expect-error durations are numbers
      createSolver({ clientKey: 'a-client-key', pollEveryMs: '3000' }),
      // @ts-expect-error no such option
      createSolver({ clientKey: 'a-client-key', pollIntervalMs: 3_000 }),
      // @ts-expect-error a meaning is one of seven
      createSolver({ clientKey: 'a-client-key', meaningOf: () => 'fatal' }),
      // @ts-expect-error the site key is missing
      recaptchaV2({ websiteURL: 'https://example.com' }),
      // @ts-expect-error isInvisible is a boolean
      recaptchaV2({ ...fields, isInvisible: 'true' }),
      // @ts-expect-error no such field
      recaptchaV2({ ...fields, proxy: 'x' }),
      // @ts-expect-error fields are not a task
      solver.solve(fields),
      // @ts-expect-error a kind is not a task
      solver.solve(recaptchaV2),
      // @ts-expect-error an id is not a reference
      solver.resume(recaptchaV2, 'task-1'),
      // @ts-expect-error a kind is required to read the reply
      solver.resume(ref),
      // @ts-expect-error withOptions takes no client key
      solver.withOptions({ clientKey: 'a-client-key' }),
      // @ts-expect-error paid is 'no', 'unknown' or 'yes'
      error.paid === true,
      // @ts-expect-error no such tag
      error._tag === 'Timeout',
      // @ts-expect-error not every error has a reference
      error.ref,
      // @ts-expect-error a count is required
      retryLeft({}),
      // @ts-expect-error explain takes the errors of a solve only
      explain(new Error('x')),
      // @ts-expect-error no such advice
      advise(error) === 'retry',
      // @ts-expect-error the codec has to encode to JSON
      defineTask({ type: 'T', fields: t.type({ at: t.bigint }), solution: t.string }),
      // @ts-expect-error errors are read-only
      (error.paid = 'no')
    ]
    expect(wrong).toBeInstanceOf(Function) // compiled, not run
  })
})

describe('InvalidOptions', () => {
  it('is thrown by createSolver at once', () => {
    expect(() => createSolver({ clientKey: 'short' })).toThrow(InvalidOptions)
  })
})
