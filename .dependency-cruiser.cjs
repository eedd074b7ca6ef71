const inModule = (...names) => `(^|/)node_modules/(${names.join('|')})(/|$)`

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    {
      name: 'core-is-pure',
      comment: 'core imports only rxjs, fp-ts, io-ts and itself; what it needs of the world is a field of its ports',
      severity: 'error',
      from: { path: '^lib/core/' },
      to: { pathNot: ['^lib/core/', inModule('rxjs', 'fp-ts', 'io-ts')] }
    },
    {
      name: 'command-only',
      comment: 'argument parsing and the progress bar are loaded by the command alone',
      severity: 'error',
      from: { pathNot: '^lib/cli/' },
      to: { path: inModule('commander', 'cli-progress', '@types/cli-progress') }
    },
    {
      name: 'journal-only',
      comment: 'the locks are loaded by the journal alone, as they change functions of node and listen to signals',
      severity: 'error',
      from: { pathNot: '^lib/journal/lock\\.ts$' },
      to: { path: inModule('proper-lockfile', '@types/proper-lockfile') }
    },
    {
      name: 'light-entry',
      comment: "require('rx-captcha') loads neither the command nor the emulator nor the journal",
      severity: 'error',
      from: { path: '^lib/(index|testing)\\.ts$' },
      to: {
        path: ['^lib/(cli|emulator|journal)/', inModule('commander', 'cli-progress', 'proper-lockfile')],
        reachable: true
      }
    },
    {
      name: 'rxjs-entries',
      comment: "only 'rxjs' and 'rxjs/testing'",
      severity: 'error',
      from: {},
      to: {
        path: inModule('rxjs'),
        pathNot: 'node_modules/rxjs/dist/(types|cjs|esm5|esm)/(testing/)?index\\.(d\\.ts|js)$'
      }
    },
    {
      name: 'fp-ts-lib',
      comment: "only 'fp-ts/lib/*.js': the root import loads ten times slower, the others fail under Node's ES modules",
      severity: 'error',
      from: {},
      to: { path: inModule('fp-ts'), pathNot: 'node_modules/fp-ts/lib/(?!index\\.)[^/]+$' }
    },
    { name: 'no-cycle', severity: 'error', from: {}, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
    {
      name: 'shipped',
      comment: 'what lib imports stands in dependencies or peerDependencies',
      severity: 'error',
      from: {},
      to: {
        dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'],
        dependencyTypesNot: ['npm', 'npm-peer', 'type-only']
      }
    }
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['types', 'node', 'require', 'default'],
      extensions: ['.ts', '.d.ts', '.js', '.json']
    }
  }
}
