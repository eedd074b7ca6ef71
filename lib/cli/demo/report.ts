import * as E from 'fp-ts/lib/Either.js'
import type { Counters } from '../../emulator/index.js'
import { seconds } from '../shared/text.js'
import { SCENES, paidOf, tagOf, type SceneState } from './scenes.js'

/** A number as the library reports it and as the emulator counted it. */
interface Comparison {
  readonly what: string
  readonly library: number
  readonly emulator: number
}

/** Compares what the library reported with the counters of the emulator. */
export const compare = (states: ReadonlyArray<SceneState>, counters: Counters): ReadonlyArray<Comparison> => {
  const count = (is: (state: SceneState) => boolean) => states.filter(is).length
  const inDoubt = count((state) => paidOf(state) === 'unknown')
  const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, n) => total + n, 0)
  return [
    {
      what: 'tasks created and paid for',
      library: count(({ taskId }) => taskId !== undefined) + inDoubt,
      emulator: counters.accepted
    },
    { what: 'task ids lost on the way', library: inDoubt, emulator: counters.lostCreates },
    { what: 'tokens delivered', library: count((state) => tagOf(state) === 'Solved'), emulator: counters.delivered },
    {
      what: 'polls',
      library: sum(states.map(({ polls }) => polls)),
      emulator: sum(Object.values(counters.polls))
    }
  ]
}

/** What did not happen as planned. */
export const deviations = (
  states: ReadonlyArray<SceneState>,
  comparisons: ReadonlyArray<Comparison>
): ReadonlyArray<string> => [
  ...SCENES.flatMap(({ ends }, at) => {
    const state = states[at]
    const tag = state && tagOf(state)
    return tag === ends ? [] : [`task ${at + 1} ended as ${tag ?? 'nothing'} instead of ${ends}`]
  }),
  ...comparisons.filter(({ library, emulator }) => library !== emulator).map(({ what }) => `${what}: the counts differ`)
]

/** What became of each task, and both counts; at most 80 columns wide. */
export const tables = (states: ReadonlyArray<SceneState>, comparisons: ReadonlyArray<Comparison>): string =>
  [
    table([['#  injected fault', 'outcome', 'task id', 'polls', 'seconds', 'paid'], ...states.map(rowOf)]),
    table([
      ['', 'library', 'emulator'],
      ...comparisons.map(({ what, library, emulator }) => [what, String(library), String(emulator)])
    ])
  ].join('\n\n')

const rowOf = (state: SceneState): ReadonlyArray<string> => {
  const { name, result, taskId, polls, startedAt, endedAt } = state
  const token = result && E.isRight(result) ? shortened(result.right.solution.gRecaptchaResponse, 10) : undefined
  const outcome = token === undefined ? (tagOf(state) ?? '-') : `token ${token}`
  const took = seconds(endedAt - startedAt)
  return [name, outcome, shortened(taskId ?? '-', 8), String(polls), took, paidOf(state)]
}

const shortened = (text: string, length: number): string => (text.length > length ? `${text.slice(0, length)}…` : text)

const table = (rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const widthOf = (column: number) => Math.max(...rows.map((row) => String(row[column]).length))
  const padded = (cell: string, column: number) =>
    /^[\d.]+$/.test(cell) ? cell.padStart(widthOf(column)) : cell.padEnd(widthOf(column))
  return rows.map((row) => row.map(padded).join('  ').trimEnd()).join('\n')
}
