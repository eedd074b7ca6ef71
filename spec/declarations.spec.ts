import { join } from 'node:path'
import { libDeclarations } from './support/built.js'
import { compile } from './support/compiler.js'
import { ROOT, textOf } from './support/doc-pages.js'

const OPTIONS = { declaration: true, emitDeclarationOnly: true, strict: true, skipLibCheck: true, module: 'NodeNext' }

const PACKAGE = 'node_modules/rx-captcha'

/** The packages that the declarations of this one import. */
const links = Object.fromEntries(
  ['fp-ts', 'io-ts', 'rxjs', 'undici'].map((name) => [`node_modules/${name}`, join(ROOT, 'node_modules', name)])
)

/** The files of the package that a user's compiler reads. */
const packageFiles = (): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(Object.entries(libDeclarations()).map(([path, text]) => [`${PACKAGE}/dist/${path}`, text])),
  [`${PACKAGE}/package.json`]: textOf('package.json')
})

/** Emits the declarations of a module that uses the package; returns them, or what is wrong with them. */
const declarationsOf = (code: string): string => {
  const files = { ...packageFiles(), 'index.ts': code, 'package.json': '{}' }
  const { problems, output } = compile({ files, links, options: { ...OPTIONS, types: [] }, include: ['index.ts'] })
  return problems.length > 0
    ? problems.map(({ code: number, message }) => `TS${number}: ${message}`).join('\n')
    : (output['index.d.ts'] ?? '')
}

describe('the declarations of a project that uses the package', () => {
  it('can be emitted for events that are narrowed by their tags', () => {
    const tags = [
      'Started',
      'CreateSent',
      'CreateEnded',
      'Created',
      'Polled',
      'PollEnded',
      'Delayed',
      'AssumedNotCreated'
    ]
    const more = ['Ended', 'Orphaned', 'Lost', 'BatchStarted', 'Skipped', 'BatchStopped', 'BatchEnded']
    const exports = [...tags, ...more].map(
      (tag) => `export const on${tag} = solver.events.pipe(filter((event) => event._tag === '${tag}'))`
    )
    const declarations = declarationsOf(`
      import { filter } from 'rxjs'
      import type { Solver, TaskSpec } from 'rx-captcha'
      declare const solver: Solver
      declare const task: TaskSpec<string>
      ${exports.join('\n')}
      export const settled = solver.solveWithProgress(task).pipe(filter((event) => event._tag === 'Settled'))
      export const { events, orphans, solve, solveAll, close } = solver
    `)

    expect(declarations).toContain('onCreated: import("rxjs").Observable<')
    expect(declarations).toContain('BatchMeta')
  })
})
