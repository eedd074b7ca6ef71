import { SCENES, idOf, paidOf, tagOf, tokenOf, tookMs, type Row } from './scenes.js'
import { seconds } from '../shared/context.js'
import type { Counters } from '../../emulator/index.js'

/** The same number, as we know it and as the emulator counted it. */
interface Pair {
  readonly what: string
  readonly ours: number
  readonly theirs: number
  readonly note?: string
}

export interface Compared {
  readonly pairs: ReadonlyArray<Pair>
  readonly overlaps: number
  readonly smallestGapMs: number
}

const count = (rows: ReadonlyArray<Row>, is: (row: Row) => boolean): number => rows.filter(is).length

/** What we say beside what stands in the emulator's books. */
export const compare = (rows: ReadonlyArray<Row>, counters: Counters, speed: number): Compared => {
  const known = count(rows, ({ taskId }) => taskId !== undefined)
  const perhaps = count(rows, (row) => paidOf(row) === 'perhaps')
  const asked = rows.reduce((sum, row) => sum + row.asked, 0)
  const polls = Object.values(counters.polls).reduce((sum, n) => sum + n, 0)
  return {
    pairs: [
      {
        what: 'tasks created = paid',
        ours: known + perhaps,
        theirs: counters.accepted,
        note: `${known} known, ${perhaps} perhaps`
      },
      { what: 'ids lost on the way', ours: perhaps, theirs: counters.lostCreates },
      { what: 'tokens received', ours: count(rows, (row) => tagOf(row) === 'Solved'), theirs: counters.delivered },
      { what: 'polls sent', ours: asked, theirs: polls }
    ],
    overlaps: counters.overlaps,
    smallestGapMs: (counters.smallestGapMs ?? 0) * speed
  }
}

const columns = (rows: ReadonlyArray<ReadonlyArray<string>>, right: ReadonlyArray<number>): string => {
  const widths = (rows[0] ?? []).map((_head, at) => Math.max(...rows.map((row) => row[at]?.length ?? 0)))
  const padded = (cell: string, at: number) =>
    right.includes(at) ? cell.padStart(widths[at] ?? 0) : cell.padEnd(widths[at] ?? 0)
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n')
}

const outcomeOf = (row: Row): string => (tagOf(row) === 'Solved' ? `token ${tokenOf(row) ?? ''}` : (tagOf(row) ?? '-'))

const lines = (rows: ReadonlyArray<Row>) =>
  rows.map((row) => [row.name, outcomeOf(row), idOf(row), String(row.asked), seconds(tookMs(row, 0)), paidOf(row)])

/** What happened to each task, and both counts. At most 80 columns wide. */
export const summary = (rows: ReadonlyArray<Row>, { pairs, overlaps, smallestGapMs }: Compared): string =>
  [
    columns([['#  arranged', 'outcome', 'task id', 'polls', 'seconds', 'paid'], ...lines(rows)], [3, 4]),
    columns(
      [
        ['', 'here', 'emulator', ''],
        ...pairs.map(({ what, ours, theirs, note = '' }) => [what, String(ours), String(theirs), note])
      ],
      [1, 2]
    ),
    `Between an answer and the next poll at least ${seconds(smallestGapMs)} s passed; ${overlaps} overlapped.`
  ].join('\n\n')

// A timer may fire a little early by another clock.
const SHORTEST_GAP_MS = 2_900

/** What did not go as arranged. */
export const wrongs = (
  rows: ReadonlyArray<Row>,
  { pairs, overlaps, smallestGapMs }: Compared
): ReadonlyArray<string> => [
  ...SCENES.flatMap(({ ends, meets }, at) => {
    const row = rows[at]
    const tag = row && tagOf(row)
    if (tag !== ends) return [`task ${at + 1} ended as ${tag ?? 'nothing'} instead of ${ends}`]
    return meets === undefined || row?.met.includes(meets) === true ? [] : [`task ${at + 1} met no mishap`]
  }),
  ...pairs.filter(({ ours, theirs }) => ours !== theirs).map(({ what }) => `${what}: the counts differ`),
  ...(overlaps > 0 ? ['polls overlapped'] : []),
  ...(smallestGapMs < SHORTEST_GAP_MS ? ['polls came too soon'] : [])
]
