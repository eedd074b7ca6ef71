import { join } from 'node:path'
import { compile } from '../../support/compiler.js'
import { ROOT } from '../../support/doc-pages.js'

/** Compiles a module of a user without `@types/node`, with the given libraries of TypeScript; returns the problems. */
const problemsWith = (lib: ReadonlyArray<string>, code: string): ReadonlyArray<string> =>
  compile({
    files: { 'user.ts': code },
    links: { lib: join(ROOT, 'lib') },
    options: { strict: true, noEmit: true, types: [], target: 'ES2022', module: 'NodeNext', lib, rootDir: '/' },
    include: ['user.ts']
  }).problems.map(({ message }) => message)

const closable = `import type { AsyncDisposal } from './lib/core/model/disposal.js'
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
