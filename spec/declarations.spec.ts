import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { ROOT } from './support/doc-pages.js'

// A user's project: the package lies in node_modules, and only its exports can be named.
const PROJECT = '/project'
const PACKAGE = `${PROJECT}/node_modules/rx-captcha`
const SOURCE = `${PROJECT}/index.ts`

/** Where a file of the project lies on this disk: the package is `lib`, and its dependencies are those of this repository. */
const onDisk = (path: string): string => {
  if (path.startsWith(`${PACKAGE}/dist/`)) return join(ROOT, 'lib', path.slice(`${PACKAGE}/dist/`.length))
  return path.startsWith(`${PROJECT}/`) ? join(ROOT, path.slice(PROJECT.length)) : path
}

const manifest = JSON.stringify({
  name: 'rx-captcha',
  version: '1.0.0',
  exports: { '.': { types: './dist/index.ts' } }
})

/** Emits the declarations of a module that uses the package; returns them, or what is wrong with them. */
const declarationsOf = (code: string): string => {
  const options: ts.CompilerOptions = {
    ...{ declaration: true, emitDeclarationOnly: true, strict: true, skipLibCheck: true, types: [] },
    ...{ target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, rootDir: PROJECT, outDir: `${PROJECT}/out` },
    moduleResolution: ts.ModuleResolutionKind.NodeNext
  }
  const host = ts.createCompilerHost(options)
  const read = (path: string): string | undefined => {
    if (path === SOURCE) return code
    if (path === `${PACKAGE}/package.json`) return manifest
    return existsSync(onDisk(path)) ? readFileSync(onDisk(path), 'utf8') : undefined
  }
  host.readFile = read
  host.fileExists = (path) =>
    path === SOURCE ||
    path === `${PACKAGE}/package.json` ||
    (path !== `${PROJECT}/package.json` && ts.sys.fileExists(onDisk(path)))
  host.directoryExists = (path) => path === PACKAGE || ts.sys.directoryExists(onDisk(path))
  host.realpath = (path) => path
  host.getSourceFile = (path, target) => {
    const text = read(path)
    return text === undefined ? undefined : ts.createSourceFile(path, text, target)
  }
  const emitted: string[] = []
  host.writeFile = (path, text) => {
    if (path.endsWith('/index.d.ts')) emitted.push(text)
  }
  const program = ts.createProgram([SOURCE], options, host)
  const source = program.getSourceFile(SOURCE)
  const { diagnostics } = program.emit(source)
  const problems = [...ts.getPreEmitDiagnostics(program, source), ...diagnostics]
  return problems.length > 0
    ? problems
        .map(({ code: number, messageText }) => `TS${number}: ${ts.flattenDiagnosticMessageText(messageText, ' ')}`)
        .join('\n')
    : emitted.join('')
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
  }, 60_000)
})
