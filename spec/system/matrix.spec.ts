import * as E from 'fp-ts/lib/Either.js'
import { groupBy } from 'fp-ts/lib/NonEmptyArray.js'
import { from, lastValueFrom, mergeMap } from 'rxjs'
import { explain } from 'rx-captcha'
import { faultNames } from '../../lib/emulator/faults/rules.js'
import { connectionFaults } from '../support/matrix/connection-faults.js'
import { FAULTS, MATRIX, type MatrixCase } from '../support/matrix/faults.js'
import { CANARY, runCase, type Trace } from '../support/matrix/matrix-case.js'
import { ODD_REPLIES } from '../support/matrix/odd-replies.js'
import { GAP_MS, type Count } from '../support/matrix/outcomes.js'

// More cases would keep one core too busy for their limits.
const CONCURRENCY = 16

const openConnectionFaults = connectionFaults()
const traces = new Map<MatrixCase, Trace | Error>()

beforeAll(async () => {
  const opened = await openConnectionFaults()
  const run = async (matrixCase: MatrixCase) => {
    const failed = (error: unknown) => new Error(`the case could not be run: ${String(error)}`)
    traces.set(matrixCase, await runCase(matrixCase, opened).catch(failed))
  }
  await lastValueFrom(from(MATRIX).pipe(mergeMap(run, CONCURRENCY)))
}, 120_000)

const traceOf = (matrixCase: MatrixCase): Trace => {
  const found = traces.get(matrixCase) ?? new Error('the case was not run')
  if (found instanceof Error) throw found
  return found
}

/** A count that reaches an expected lower bound becomes equal to it. */
const bounded = (actual: number, expected: Count): Count =>
  typeof expected === 'object' && actual >= expected.atLeast ? expected : actual

const plus = (count: Count, more: number): Count =>
  typeof count === 'number' ? count + more : { atLeast: count.atLeast + more }

/** One test for each kind of fault, because hundreds of tests take longer than their assertions. Its error names every case. */
const itAlways = (
  behaviour: string,
  check: (matrixCase: MatrixCase) => void,
  concerns: (matrixCase: MatrixCase) => boolean = () => true
) => {
  it.each(Object.entries(groupBy(({ kind }: MatrixCase) => kind)(MATRIX.filter(concerns))))(
    `${behaviour} (faults of the kind: %s)`,
    (_, cases) => {
      const failures = cases.flatMap((matrixCase) => {
        try {
          check(matrixCase)
          return []
        } catch (error) {
          return [`${matrixCase.title}: ${String(error)}`]
        }
      })
      if (failures.length > 0) throw new Error(failures.join('\n\n'))
    }
  )
}

describe('the fault matrix', () => {
  it.each(['createTask', 'getTaskResult'] as const)('holds at least 40 faults of %s', (call) => {
    expect(FAULTS.filter(({ expected }) => expected[call]).length).toBeGreaterThanOrEqual(40)
  })

  it('holds every named fault of the emulator and every odd reply', () => {
    const held = new Set(FAULTS.map(({ fault }) => fault.replace(/=\d+$/, '')))
    expect([...faultNames, ...ODD_REPLIES.keys()].filter((name) => !held.has(name))).toStrictEqual([])
  })
})

describe('a solver under a fault', () => {
  itAlways('ends the solve as expected', (matrixCase) => {
    const { tag, paid, fields } = matrixCase.expected
    const { affected } = traceOf(matrixCase)
    const seen = E.isLeft(affected) ? { tag: affected.left._tag, paid: affected.left.paid } : { tag: affected._tag }
    expect(seen).toStrictEqual({ tag, ...(paid && { paid }) })
    if (fields) expect(affected).toMatchObject({ left: fields })
  })

  itAlways(
    'returns the reference of the task',
    (matrixCase) => {
      const { affected, tasks } = traceOf(matrixCase)
      const value: object = E.isLeft(affected) ? affected.left : affected.right
      const isNumeric = matrixCase.kind === 'numeric ids'
      const refs = tasks.map(({ taskId }) => ({ taskId, createdAt: expect.any(Number) as unknown }))
      const numericRefs = refs.map((ref) => ({ ...ref, numeric: true }))
      expect(isNumeric ? numericRefs : refs).toContainEqual('ref' in value ? value.ref : undefined)
    },
    ({ expected: { tag, paid } }) => tag === 'Right' || paid === 'yes'
  )

  itAlways(
    'solves the tasks before and after',
    (matrixCase) => {
      expect(traceOf(matrixCase).others.map(({ _tag }) => _tag)).toStrictEqual(['Right', 'Right'])
    },
    ({ call, when }) => call === 'createTask' && when === 'n-th'
  )

  itAlways('sends the expected requests, and pays for the expected tasks', (matrixCase) => {
    const { others, counters } = traceOf(matrixCase)
    const { accepted, requests } = counters
    const expected = {
      creates: plus(matrixCase.expected.creates, others.length),
      accepted: plus(matrixCase.expected.accepted, others.length),
      polls: plus(matrixCase.expected.polls, others.length)
    }
    expect({
      creates: bounded(requests.createTask, expected.creates),
      accepted: bounded(accepted, expected.accepted),
      polls: bounded(requests.getTaskResult, expected.polls)
    }).toStrictEqual(expected)
  })

  itAlways('waits pollEveryMs before each poll', (matrixCase) => {
    const { counters, smallestWaitMs } = traceOf(matrixCase)
    const { pace, clientDisconnects } = matrixCase.expected
    expect(counters.overlaps).toBe(0)
    expect(smallestWaitMs).toBeGreaterThanOrEqual(pace.limits.pollEveryMs)
    // The service sees the end of such a connection too late to measure the gap from there.
    if (!clientDisconnects) expect(counters.smallestGapMs ?? Infinity).toBeGreaterThanOrEqual(GAP_MS)
  })

  itAlways(
    'waits for as long as the service asks',
    (matrixCase) => {
      expect(traceOf(matrixCase).longestWaitMs).toBeGreaterThanOrEqual(matrixCase.expected.waitMs ?? Infinity)
    },
    ({ expected }) => expected.waitMs !== undefined
  )

  itAlways(
    'emits AssumedNotCreated for a 503',
    (matrixCase) => {
      expect(traceOf(matrixCase).events).toContainEqual(
        expect.objectContaining({ _tag: 'AssumedNotCreated', status: 503 })
      )
    },
    ({ expected }) => expected.assumesNotCreated === true
  )

  itAlways(
    'explains the cause',
    (matrixCase) => {
      const { affected } = traceOf(matrixCase)
      expect(E.isLeft(affected) ? explain(affected.left) : '').toMatch(matrixCase.cause ?? 'a cause in the table')
    },
    ({ expected }) => expected.tag !== 'Right'
  )

  itAlways('gives the client key to nothing that it emits or throws', (matrixCase) => {
    expect(traceOf(matrixCase).text).not.toContain(CANARY)
  })
})
