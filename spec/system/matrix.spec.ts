import * as E from 'fp-ts/lib/Either.js'
import { from, lastValueFrom, mergeMap } from 'rxjs'
import { explain } from 'rx-captcha'
import { faultNames } from 'rx-captcha/emulator'
import { CANARY, runCell, type Told } from '../support/matrix/matrix-case.js'
import { detours } from '../support/matrix/connection-faults.js'
import { CELLS, FAULTS, type Cell } from '../support/matrix/faults.js'
import { GAP_MS, type Count } from '../support/matrix/outcomes.js'

// As many as leave each cell enough of one core to keep its limits.
const AT_ONCE = 16

const openDetours = detours()
const told = new Map<Cell, Told | Error>()

beforeAll(async () => {
  const opened = await openDetours()
  const run = async (cell: Cell) => {
    const failed = (error: unknown) => new Error(`the cell could not be run: ${String(error)}`)
    told.set(cell, await runCell(cell, opened).catch(failed))
  }
  await lastValueFrom(from(CELLS).pipe(mergeMap(run, AT_ONCE)))
}, 120_000)

const toldBy = (cell: Cell): Told => {
  const found = told.get(cell) ?? new Error('the cell was not run')
  if (found instanceof Error) throw found
  return found
}

/** What is at least as many as expected compares as equal. */
const bounded = (actual: number, expected: Count): Count =>
  typeof expected === 'object' && actual >= expected.atLeast ? expected : actual

const plus = (count: Count, more: number): Count =>
  typeof count === 'number' ? count + more : { atLeast: count.atLeast + more }

describe('the matrix', () => {
  it.each(['createTask', 'getTaskResult'] as const)('holds at least 40 faults of %s', (call) => {
    expect(FAULTS.filter(({ follows }) => follows[call]).length).toBeGreaterThanOrEqual(40)
  })

  it('holds every fault that has a name in the emulator', () => {
    const held = new Set(FAULTS.map(({ fault }) => fault.replace(/=\d+$/, '')))
    expect(faultNames.filter((name) => !held.has(name))).toStrictEqual([])
  })

  it.each(CELLS)('$title', (cell) => {
    const { tag, paid, beside } = cell.expected
    const { struck } = toldBy(cell)
    const seen = E.isLeft(struck) ? { tag: struck.left._tag, paid: struck.left.paid } : { tag: struck._tag }
    expect(seen).toStrictEqual({ tag, ...(paid && { paid }) })
    if (beside) expect(struck).toMatchObject({ left: beside })
  })
})

describe('the task is named by', () => {
  it.each(CELLS.filter(({ expected: { tag, paid } }) => tag === 'Right' || paid === 'yes'))('$title', (cell) => {
    const { struck, tasks } = toldBy(cell)
    const value: object = E.isLeft(struck) ? struck.left : struck.right
    const refs = tasks.map(({ taskId }) => ({ taskId, createdAt: expect.any(Number) as unknown }))
    expect(refs).toContainEqual('ref' in value ? value.ref : undefined)
  })
})

describe('the solves before and after are well in', () => {
  it.each(CELLS.filter(({ call, when }) => call === 'createTask' && when === 'n-th'))('$title', (cell) => {
    expect(toldBy(cell).others.map(({ _tag }) => _tag)).toStrictEqual(['Right', 'Right'])
  })
})

describe('the service counts', () => {
  it.each(CELLS)('$title', (cell) => {
    const { others, counters } = toldBy(cell)
    const { accepted, requests } = counters
    const expected = {
      creates: plus(cell.expected.creates, others.length),
      accepted: plus(cell.expected.accepted, others.length),
      polls: plus(cell.expected.polls, others.length)
    }
    expect({
      creates: bounded(requests.createTask, expected.creates),
      accepted: bounded(accepted, expected.accepted),
      polls: bounded(requests.getTaskResult, expected.polls)
    }).toStrictEqual(expected)
  })
})

describe('polls keep their distance in', () => {
  it.each(CELLS)('$title', (cell) => {
    const { counters, smallestWaitMs } = toldBy(cell)
    const { pace, hangsUp } = cell.expected
    expect(counters.overlaps).toBe(0)
    expect(smallestWaitMs).toBeGreaterThanOrEqual(pace.limits.pollEveryMs)
    // A service that is hung up on hears of it too late to measure from there.
    if (!hangsUp) expect(counters.smallestGapMs ?? Infinity).toBeGreaterThanOrEqual(GAP_MS)
  })
})

describe('a 503 that is taken for a no is told in', () => {
  it.each(CELLS.filter(({ expected }) => expected.assumes))('$title', (cell) => {
    expect(toldBy(cell).events).toContainEqual({
      at: expect.any(Number) as unknown,
      _tag: 'AssumedNotCreated',
      status: 503
    })
  })
})

describe('explain names the cause of', () => {
  it.each(CELLS.filter(({ expected }) => expected.tag !== 'Right'))('$title', (cell) => {
    const { struck } = toldBy(cell)
    expect(E.isLeft(struck) ? explain(struck.left) : '').toMatch(cell.named ?? 'a cause that stands in the table')
  })
})

describe('the client key is in no word of', () => {
  it.each(CELLS)('$title', (cell) => {
    expect(toldBy(cell).words).not.toContain(CANARY)
  })
})
