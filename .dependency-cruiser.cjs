const inModule = (...names) => `(^|/)node_modules/(${names.join('|')})(/|$)`

const PURE = inModule('rxjs', 'fp-ts', 'io-ts')

/** A folder, and all that it may import of lib and of packages. */
const mayImport = (folder, allowed, comment) => ({
  name: `${folder.replaceAll('/', '-')}-imports`,
  comment,
  severity: 'error',
  from: { path: `^lib/${folder}/` },
  to: { pathNot: [`^lib/${folder}/`, ...allowed] }
})

/** A folder of the command, and the other ones that it may import. */
const mayImportOfCli = (folder, others, comment) => ({
  name: `cli-${folder}-imports`,
  comment,
  severity: 'error',
  from: { path: `^lib/cli/${folder}/` },
  to: { path: '^lib/cli/', pathNot: `^lib/cli/(${[folder, ...others].join('|')})/` }
})

const onlyFor = (name, modules, importers, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { pathNot: importers },
  to: { path: inModule(...modules) }
})

// What the folders outside of core may import of it: the words that callers see, and how values are checked.
const PUBLIC_CORE = ['^lib/core/(model|validation)/', '^lib/core/solver\\.ts$']
const QUEUE_RECORD = ['^lib/bullmq/record/', '^lib/bullmq/ports\\.ts$']
const outsideLib = '^(?!lib/)'

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    mayImport('core', [PURE], 'core is pure: what it needs of the world is a field of its ports'),
    mayImport('core/rx', [inModule('rxjs', 'fp-ts')], 'operators know no task'),
    mayImport('core/validation', [inModule('fp-ts', 'io-ts')], 'checks of values know no task'),
    mayImport('core/model', ['^lib/core/(rx|validation)/', PURE], 'the words that callers see stand on nothing else'),
    mayImport(
      'core/protocol',
      ['^lib/core/(model|validation)/', inModule('fp-ts', 'io-ts')],
      'no time and no subscription'
    ),
    mayImport('core/in-flight', ['^lib/core/(model|protocol|rx)/', PURE], 'an active task makes no call'),
    mayImport('core/solve', ['^lib/core/(in-flight|model|protocol|rx)/', PURE], 'one task knows nothing of batches'),
    mayImport(
      'core/batch',
      ['^lib/core/(in-flight|protocol|model|validation|rx)/', PURE],
      'a batch gets its solves as functions'
    ),
    mayImport(
      'http',
      [...PUBLIC_CORE, '^lib/core/build-solver\\.ts$', '^lib/diagnostics/', outsideLib],
      'the network is a port; only this folder builds a solver'
    ),
    mayImport(
      'testing',
      [...PUBLIC_CORE, '^lib/http/create-solver\\.ts$', '^assert$', PURE],
      'what tests need stands on the words that callers see, and on a real solver'
    ),
    mayImport(
      'diagnostics',
      ['^lib/core/model/', '^(node:)?(diagnostics_channel|util)$'],
      'channels and debug lines are fed with events, and use node alone'
    ),
    mayImport('journal', [...PUBLIC_CORE, outsideLib], 'the file journal is a port'),
    mayImport(
      'bullmq',
      [...PUBLIC_CORE, '^lib/core/rx/(backoff|pull-merge-map)\\.ts$', '^(node:)?crypto$', PURE],
      'the queue is a port: it knows BullMQ by structure alone, and uses the operators that know no task'
    ),
    mayImport(
      'bullmq/record',
      [...PUBLIC_CORE, '^lib/core/rx/backoff\\.ts$', '^lib/bullmq/ports\\.ts$', PURE],
      'the record of a key in Redis is all that a worker and a producer share'
    ),
    mayImport(
      'bullmq/worker',
      [...PUBLIC_CORE, '^lib/core/rx/backoff\\.ts$', ...QUEUE_RECORD, '^(node:)?crypto$', PURE],
      'a worker is another process than a producer'
    ),
    mayImport(
      'bullmq/producer',
      [...PUBLIC_CORE, '^lib/core/rx/pull-merge-map\\.ts$', ...QUEUE_RECORD, '^(node:)?crypto$', PURE],
      'a producer is another process than a worker'
    ),
    {
      name: 'job-error-imports',
      comment: 'the command explains errors of jobs without loading the queue',
      severity: 'error',
      from: { path: '^lib/bullmq/producer/job-error\\.ts$' },
      to: { pathNot: '^lib/core/model/' }
    },
    mayImport(
      'emulator',
      ['^lib/core/validation/', outsideLib],
      'the emulator shares no line with the client that it tests, except for the check of options'
    ),
    mayImport(
      'emulator/faults',
      ['^lib/emulator/(protocol|response|seeded)\\.ts$', outsideLib],
      'a fault spoils a reply and knows no task'
    ),
    mayImport(
      'cli',
      [...PUBLIC_CORE, '^lib/(http|emulator|journal|bullmq)/', outsideLib],
      'the command uses the library as a user does'
    ),
    mayImportOfCli('shared', [], 'what commands share knows none of them'),
    mayImportOfCli('input', ['shared'], 'the items of an input do not depend on how they are solved'),
    mayImportOfCli(
      'batch',
      ['input', 'shared'],
      'a batch with workers takes files and counts from the batch without, not the other way round'
    ),
    {
      name: 'cli-queue-imports',
      comment: 'the two commands for a queue share the connection, and know nothing of each other',
      severity: 'error',
      from: { path: '^lib/cli/queue/(submit|worker)/' },
      to: { path: '^lib/cli/queue/(submit|worker)/', pathNot: '^lib/cli/queue/$1/' }
    },
    {
      name: 'cli-loads-lazily',
      comment: 'the command loads the emulator, the journal and the queue by import(), as most runs need none of them',
      severity: 'error',
      from: { path: '^lib/cli/' },
      to: {
        path: ['^lib/(emulator|journal|bullmq)/', inModule('bullmq', 'ioredis')],
        pathNot: '^lib/bullmq/producer/job-error\\.ts$',
        dependencyTypesNot: ['dynamic-import', 'type-only', 'type-import']
      }
    },
    {
      name: 'nothing-imports-cli',
      severity: 'error',
      from: { pathNot: '^lib/cli/' },
      to: { path: '^lib/cli/' }
    },
    {
      name: 'index-imports',
      comment:
        'the entry point lists names, and loads neither the command nor the emulator nor the journal nor the queue',
      severity: 'error',
      from: { path: '^lib/index\\.ts$' },
      to: { pathNot: [...PUBLIC_CORE, '^lib/core/interop\\.ts$', '^lib/http/create-solver\\.ts$'] }
    },
    {
      name: 'interop-imports',
      severity: 'error',
      from: { path: '^lib/core/interop\\.ts$' },
      to: { pathNot: ['^lib/core/(model|rx|validation)/', PURE] }
    },
    {
      name: 'light-entry',
      comment:
        "require('rx-captcha') loads neither the command nor the emulator nor the journal nor the queue, by any path",
      severity: 'error',
      from: { path: '^lib/(index|testing/index)\\.ts$' },
      to: {
        path: ['^lib/(cli|emulator|journal|bullmq)/', inModule('commander', 'cli-progress', 'proper-lockfile')],
        reachable: true
      }
    },
    onlyFor(
      'command-only',
      ['commander', 'cli-progress', '@types/cli-progress', 'csv-parse'],
      '^lib/cli/',
      'argument parsing, CSV and the progress bar are loaded by the command alone'
    ),
    onlyFor(
      'journal-only',
      ['proper-lockfile', '@types/proper-lockfile'],
      '^lib/journal/lock\\.ts$',
      'the locks change functions of node and listen to signals, so the journal alone loads them'
    ),
    {
      name: 'queue-modules',
      comment: 'BullMQ and ioredis are optional peers: only one place may load them',
      severity: 'error',
      from: { pathNot: '^lib/cli/main\\.ts$' },
      to: { path: inModule('bullmq', 'ioredis'), dependencyTypesNot: ['type-only', 'type-import'] }
    },
    onlyFor('http-only', ['undici'], '^lib/http/', 'undici is loaded where the network is'),
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
