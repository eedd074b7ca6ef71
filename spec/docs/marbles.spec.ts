import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Subject, ignoreElements, map, merge, tap } from 'rxjs'
import { assertDiagram, diagrams, type Emitted, type Stage } from '../support/diagrams.js'
import { ROOT, textOf } from '../support/doc-pages.js'
import { aTask, taskOf } from '../support/simulate.js'

const tagOf = ({ _tag }: { readonly _tag: string }): string => _tag

const solveOne = ({ solver }: Stage): Emitted => ({
  result: solver.solve(aTask).pipe(map(tagOf)),
  orphans: solver.orphans.pipe(map(({ ref }) => ref.taskId))
})

const ACTS: Readonly<Record<string, (stage: Stage) => Emitted>> = {
  solve: solveOne,
  'solve-with-progress': ({ solver }) => ({ progress: solver.solveWithProgress(aTask).pipe(map(tagOf)) }),
  'solve-all': ({ solver }) => {
    const pulled = new Subject<string>()
    const items = function* () {
      for (const item of ['a', 'b', 'c']) {
        pulled.next(item)
        yield item
      }
    }
    const outcomes = solver.solveAll({ [Symbol.iterator]: items }, taskOf, { concurrency: 2 })
    return { 'items pulled': pulled, outcomes: outcomes.pipe(map(({ item }) => item)) }
  },
  deadline: ({ solver }) => {
    const timedOut = { left: { _tag: 'TimedOut', paid: 'yes', ref: { taskId: 'id' } } }
    const result = solver.solve(aTask).pipe(tap((result) => expect(result).toMatchObject(timedOut)))
    return { result: result.pipe(map(tagOf)) }
  },
  'lost-poll': solveOne,
  'orphan-create': solveOne,
  'orphan-poll': solveOne,
  limiter: ({ solver, createTaskSent }) => {
    const solves = ['a', 'b', 'c'].map((name) => solver.solve(taskOf(name)).pipe(ignoreElements()))
    return { 'createTask sent': merge(createTaskSent, ...solves) }
  }
}

describe('the marble diagrams', () => {
  it.each(diagrams)('show what the library does: $name', (diagram) => {
    assertDiagram(diagram, ACTS[diagram.name]!)
  })

  it('are checked in as they are drawn; `npm run pictures` draws them again', () => {
    const checkedIn = join(ROOT, 'docs/marbles')
    const drawn = mkdtempSync(join(tmpdir(), 'rx-captcha-marbles-'))
    try {
      // In a process of its own, because jest cannot load the renderer, an ES module.
      execFileSync(process.execPath, [join(ROOT, 'spec/docs/draw-marbles.mjs'), drawn])
      expect(filesOf(checkedIn)).toStrictEqual(filesOf(drawn))
    } finally {
      rmSync(drawn, { recursive: true })
    }
  })

  it.each(diagrams)('are shown and explained in docs/marbles.md: $name', ({ name, title, about }) => {
    const page = textOf('docs/marbles.md')
    expect(page).toContain(`![${title}](marbles/${name}.svg)`)
    expect(page.replace(/\s+/g, ' ')).toContain(about)
  })
})

const filesOf = (folder: string): Readonly<Record<string, string>> =>
  Object.fromEntries(readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'utf8')]))
