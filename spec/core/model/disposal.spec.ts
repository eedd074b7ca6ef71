import { join } from 'node:path'
import ts from 'typescript'

const ROOT = join(__dirname, '../../..')

/** Compiles a module of a user without `@types/node`, with the given libraries of TypeScript; returns the problems. */
const problemsWith = (lib: ReadonlyArray<string>, code: string): ReadonlyArray<string> => {
  const name = join(ROOT, 'spec/core/model/user.ts')
  const options: ts.CompilerOptions = {
    strict: true,
    noEmit: true,
    types: [],
    target: ts.ScriptTarget.ES2022,
    module: ts.ModuleKind.NodeNext,
    lib: lib.map((one) => `lib.${one}.d.ts`)
  }
  const host = ts.createCompilerHost(options)
  const { readFile, fileExists, getSourceFile } = host
  host.fileExists = (file) => file === name || fileExists(file)
  host.readFile = (file) => (file === name ? code : readFile(file))
  host.getSourceFile = (file, target, ...rest) =>
    file === name ? ts.createSourceFile(file, code, target) : getSourceFile(file, target, ...rest)
  return ts
    .getPreEmitDiagnostics(ts.createProgram([name], options, host))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))
}

const closable = `import type { AsyncDisposal } from '../../../lib/core/model/disposal.js'
interface Closable extends AsyncDisposal { readonly close: () => Promise<void> }
`

describe('AsyncDisposal', () => {
  it('allows await using if the library of TypeScript declares it', () => {
    const code = `${closable}export const use = async (open: () => Closable) => { await using it = open(); await it.close() }`
    expect(problemsWith(['es2022', 'esnext.disposable'], code)).toStrictEqual([])
  })

  it('compiles without that library', () => {
    const code = `${closable}export const close = (it: Closable): Promise<void> => it[Symbol.asyncDispose]()`
    expect(problemsWith(['es2022'], code)).toStrictEqual([])
  })
})
