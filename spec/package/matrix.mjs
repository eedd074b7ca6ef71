// Installs the packed tarball in applications of users, and runs it on every Node that is supported and on Bun, with the lowest and the
// highest versions of what it stands on: as CommonJS, as an ES module, in a bundle, under jest and vitest, and under the compiler.
import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ROOT, tarball, temporaryFolder } from './pack.mjs'

const started = performance.now()
const folder = temporaryFolder()
const packed = tarball(folder)
const { dependencies, peerDependencies } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const lowest = (range) => range.replace(/^\^/, '')

const run = promisify(execFile)

const install = (app, packages, overrides = {}) => {
  const cwd = join(folder, app)
  mkdirSync(cwd)
  writeFileSync(join(cwd, 'package.json'), JSON.stringify({ name: app, private: true, overrides }))
  const options = [
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
    '--prefer-offline',
    '--loglevel=error'
  ]
  cpSync(join(ROOT, 'spec/package/apps'), cwd, { recursive: true })
  return run('npm', ['install', ...options, ...packages], { cwd })
}

const { platform, arch } = process
const NODES = ['20', '22', '24', 'latest']
const BUN = `@oven/bun-${platform}-${arch === 'arm64' ? 'aarch64' : 'x64-baseline'}`

// One after the other: npm uses more than one core by itself.
await install('runtimes', [...NODES.map((version) => `node-${version}@npm:node-${platform}-${arch}@${version}`), BUN])
await install('highest', [
  ...[packed, `rxjs@${peerDependencies.rxjs}`, `fp-ts@${peerDependencies['fp-ts']}`, `undici@${dependencies.undici}`],
  ...['@types/node@20', 'typescript@7', 'jest@30', 'vitest@4', 'esbuild'],
  ...['undici-first@npm:undici@7.0.0', 'undici-other@npm:undici@8']
])
await install(
  'lowest',
  [
    ...[packed, `rxjs@${lowest(peerDependencies.rxjs)}`, `fp-ts@${lowest(peerDependencies['fp-ts'])}`],
    // An application with an undici of its own: npm installs that of the library below it.
    ...[
      'undici@6',
      'undici-first@npm:undici@7.0.0',
      'undici-other@npm:undici@6.0.0',
      '@types/node@20',
      'typescript@5.0'
    ]
  ],
  { 'rx-captcha': { undici: lowest(dependencies.undici), 'io-ts': lowest(dependencies['io-ts']) } }
)

// A project without the types of Node, and so without those of undici.
const bare = join(folder, 'bare')
for (const name of ['rx-captcha', 'rxjs', 'fp-ts', 'io-ts', 'tslib']) {
  cpSync(join(folder, 'highest/node_modules', name), join(bare, 'node_modules', name), { recursive: true })
}
cpSync(join(ROOT, 'spec/package/apps/types.mts'), join(bare, 'types.mts'))

const versionOf = (app, name) =>
  JSON.parse(readFileSync(join(folder, app, 'node_modules', name, 'package.json'), 'utf8')).version
for (const app of ['lowest', 'highest']) {
  const below = app === 'lowest' ? 'rx-captcha/node_modules/undici' : 'undici'
  const versions = ['rxjs', 'fp-ts', 'io-ts', below].map((name) => `${name} ${versionOf(app, name)}`)
  console.log(`${app}: ${versions.join(', ')}; TypeScript ${versionOf(app, 'typescript')}`)
}

const nodes = NODES.map((version) => ({
  name: `Node ${versionOf('runtimes', `node-${version}`)}`,
  path: join(folder, 'runtimes/node_modules', `node-${version}`, 'bin/node')
}))
const bun = { name: `Bun ${versionOf('runtimes', BUN)}`, path: join(folder, 'runtimes/node_modules', BUN, 'bin/bun') }

const at = (app, { name, path }, title, ...args) => ({ title: `${name}, ${app}: ${title}`, app, path, args })

// undici's own modules call `require` for those of Node; a bundle that is an ES module has to define it.
const BANNER = `import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);`
const bundle = ['node_modules/esbuild/bin/esbuild', '--bundle', '--platform=node', '--log-level=error']

const COMPILER = ['--noEmit', '--declaration', '--strict', '--exactOptionalPropertyTypes', '--target', 'ES2022']
const RESOLVERS = [
  ['NodeNext', '--module', 'NodeNext'],
  ['bundler', '--module', 'ES2022', '--moduleResolution', 'bundler']
]
const compile = (app, files, name, ...options) => {
  const compiler = join(folder, app === 'lowest' ? 'lowest' : 'highest', 'node_modules/typescript/bin/tsc')
  return at(
    app,
    nodes[0],
    `compile for ${name}`,
    compiler,
    ...COMPILER,
    '--skipLibCheck',
    'false',
    ...options,
    ...files
  )
}

const cases = [
  ...nodes.flatMap((node) => [
    ...['lowest', 'highest'].flatMap((app) => [
      at(app, node, 'CommonJS', 'solve.cjs'),
      at(app, node, 'ES module', 'solve.mjs'),
      at(app, node, 'agents of other versions of undici', 'agents.cjs', 'undici', 'undici-first', 'undici-other')
    ]),
    at('highest', node, 'the command', 'node_modules/rx-captcha/dist/cli/main.js', '--version'),
    at(
      'highest',
      node,
      'jest',
      'node_modules/jest/bin/jest.js',
      '-i',
      '--rootDir=.',
      '--testMatch',
      '**/jest.test.cjs'
    ),
    at('highest', node, 'vitest', 'node_modules/vitest/vitest.mjs', 'run', 'vitest.test.mjs')
  ]),
  at('highest', bun, 'CommonJS', 'solve.cjs'),
  at('highest', bun, 'ES module', 'solve.mjs'),
  ...RESOLVERS.flatMap((resolver) => [
    compile('lowest', ['types.mts', 'undici-types.mts'], ...resolver, '--types', 'node'),
    compile('highest', ['types.mts', 'undici-types.mts'], ...resolver, '--types', 'node')
  ]),
  // RxJS names `setTimeout`, which the types of the browser have as well.
  compile('bare', ['types.mts'], 'a project without @types/node', ...RESOLVERS[0].slice(1), '--types', ''),
  {
    ...at('highest', nodes[0], 'a bundle in CommonJS', ...bundle, 'solve.cjs', '--format=cjs', '--outfile=bundle.cjs'),
    then: ['bundle.cjs']
  },
  {
    ...at(
      'highest',
      nodes[0],
      'a bundle as an ES module',
      ...bundle,
      'solve.mjs',
      '--format=esm',
      `--banner:js=${BANNER}`,
      '--outfile=bundle.mjs'
    ),
    then: ['bundle.mjs']
  }
]

/** Resolves with whether the case passes; prints what it printed if not. */
const passes = async ({ title, app, path, args, then: next }) => {
  const options = { cwd: join(folder, app), timeout: 300_000, env: { ...process.env, NO_COLOR: '1' } }
  try {
    const { stdout } = await run(path, args, options)
    if (next) await run(path, next, options)
    const notes = stdout.split('\n').filter((line) => line.includes('does not load'))
    console.log(['ok      ', title, ...notes].join(' '))
    return true
  } catch (error) {
    console.log(`FAILED   ${title}\n${error.stdout}${error.stderr || error.message}`)
    return false
  }
}

const queue = [...cases]
const failed = []
const work = async () => {
  for (let next = queue.shift(); next; next = queue.shift()) if (!(await passes(next))) failed.push(next.title)
}
await Promise.all([work(), work()])

const seconds = Math.round((performance.now() - started) / 1_000)
console.log(`${cases.length - failed.length} of ${cases.length} cases of the matrix pass, in ${seconds} s`)
process.exitCode = failed.length > 0 ? 1 : 0
