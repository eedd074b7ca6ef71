import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

const ROOT = join(__dirname, '..')

/** Imports that break one rule each: the importing file, what it imports, and the rule. */
const BREACHES: ReadonlyArray<readonly [file: string, imported: string, rule: string]> = [
  ['lib/core/solver.ts', 'undici', 'core-imports'],
  ['lib/core/rx/poll.ts', '../model/task.js', 'core-rx-imports'],
  ['lib/core/rx/backoff.ts', 'io-ts', 'core-rx-imports'],
  ['lib/core/validation/problems.ts', '../model/task.js', 'core-validation-imports'],
  ['lib/core/model/task.ts', '../protocol/codec.js', 'core-model-imports'],
  ['lib/core/protocol/codec.ts', '../rx/poll.js', 'core-protocol-imports'],
  ['lib/core/protocol/redact.ts', 'rxjs', 'core-protocol-imports'],
  ['lib/core/in-flight/active-task.ts', '../solve/solve.js', 'core-in-flight-imports'],
  ['lib/core/solve/solve.ts', '../batch/solve-all.js', 'core-solve-imports'],
  ['lib/core/batch/solve-all.ts', '../build-solver.js', 'core-batch-imports'],
  ['lib/core/batch/journaled.ts', '../solve/solve.js', 'core-batch-imports'],
  ['lib/core/interop.ts', './solve/solve.js', 'interop-imports'],
  ['lib/http/clock.ts', '../core/rx/poll.js', 'http-imports'],
  ['lib/diagnostics/diagnostics.ts', '../core/in-flight/event-bus.js', 'diagnostics-imports'],
  ['lib/diagnostics/debug-line.ts', 'rxjs', 'diagnostics-imports'],
  ['lib/journal/lock.ts', '../core/build-solver.js', 'journal-imports'],
  ['lib/bullmq/ports.ts', 'bullmq', 'bullmq-imports'],
  ['lib/bullmq/record/records.ts', '../worker/processor.js', 'bullmq-record-imports'],
  ['lib/bullmq/worker/processor.ts', '../producer/job-result.js', 'bullmq-worker-imports'],
  ['lib/bullmq/producer/submit-all.ts', '../worker/job-run.js', 'bullmq-producer-imports'],
  ['lib/bullmq/producer/job-error.ts', '../record/scripts.js', 'job-error-imports'],
  ['lib/emulator/index.ts', '../core/model/task.js', 'emulator-imports'],
  ['lib/emulator/faults/rules.ts', '../ledger.js', 'emulator-faults-imports'],
  ['lib/cli/run.ts', '../core/solve/solve.js', 'cli-imports'],
  ['lib/cli/shared/context.ts', '../queue/open.js', 'cli-shared-imports'],
  ['lib/cli/input/item.ts', '../batch/stats.js', 'cli-input-imports'],
  ['lib/cli/batch/run.ts', '../queue/open.js', 'cli-batch-imports'],
  ['lib/cli/queue/submit/submit.ts', '../worker/stats.js', 'cli-queue-imports'],
  ['lib/cli/queue/worker/worker.ts', '../submit/options.js', 'cli-queue-imports'],
  ['lib/cli/emulate.ts', '../emulator/index.js', 'cli-loads-lazily'],
  ['lib/cli/main.ts', 'bullmq', 'cli-loads-lazily'],
  ['lib/cli/balance.ts', 'ioredis', 'queue-modules'],
  ['lib/http/create-solver.ts', '../cli/run.js', 'nothing-imports-cli'],
  ['lib/index.ts', './http/clock.js', 'index-imports'],
  ['lib/testing/index.ts', '../http/clock.js', 'testing-imports'],
  ['lib/http/undici-post.ts', '../journal/lock.js', 'light-entry'],
  ['lib/http/connections.ts', 'commander', 'command-only'],
  ['lib/journal/open.ts', 'proper-lockfile', 'journal-only'],
  ['lib/journal/format.ts', 'undici', 'http-only'],
  ['lib/cli/program.ts', 'rxjs/operators', 'rxjs-entries'],
  ['lib/core/model/error.ts', 'fp-ts', 'fp-ts-lib'],
  ['lib/core/in-flight/active-task.ts', './in-flight.js', 'no-cycle'],
  ['lib/cli/shared/text.ts', './nowhere.js', 'resolvable'],
  ['lib/cli/shared/parse.ts', 'fast-check', 'shipped']
]

// Allowed imports, which complete the breaches of `light-entry` and `no-cycle`.
const ALLOWED: ReadonlyArray<readonly [file: string, imported: string]> = [
  ['lib/index.ts', './http/create-solver.js'],
  ['lib/http/create-solver.ts', './undici-post.js'],
  ['lib/core/in-flight/in-flight.ts', './active-task.js']
]

interface Report {
  readonly summary: { readonly violations: ReadonlyArray<{ readonly from: string; readonly rule: { name: string } }> }
}

/** What dependency-cruiser says, under the rules of this project, of a tree that holds these imports and nothing else. */
const violationsOf = (folder: string): ReadonlyArray<string> => {
  const lines = new Map<string, string[]>()
  const add = (file: string, line?: string) => {
    const found = lines.get(file) ?? []
    lines.set(file, line === undefined ? found : [...found, line])
  }
  for (const [file, imported] of [...BREACHES, ...ALLOWED]) {
    add(file, `import '${imported}'`)
    if (imported.startsWith('.') && !imported.includes('nowhere'))
      add(join(dirname(file), imported.replace(/js$/, 'ts')))
  }
  for (const [file, text] of lines) {
    mkdirSync(join(folder, dirname(file)), { recursive: true })
    writeFileSync(join(folder, file), [...text, 'export {}', ''].join('\n'))
  }
  for (const name of ['.dependency-cruiser.cjs', 'package.json', 'tsconfig.json'])
    copyFileSync(join(ROOT, name), join(folder, name))
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'), 'junction')
  const cruise = join(ROOT, 'node_modules/dependency-cruiser/bin/dependency-cruise.mjs')
  const argv = [cruise, '--output-type', 'json', 'lib']
  const output = execFileSync(process.execPath, argv, { cwd: folder, encoding: 'utf8', maxBuffer: 2 ** 26 })
  const { summary } = JSON.parse(output) as Report
  return summary.violations.map(({ from, rule }) => `${from} breaks ${rule.name}`)
}

describe('the rules of dependency-cruiser', () => {
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-rules-'))
  let violations: ReadonlyArray<string> = []

  beforeAll(() => {
    violations = violationsOf(folder)
  })

  afterAll(() => {
    rmSync(folder, { recursive: true })
  })

  it.each(BREACHES)('do not let %s import %s', (file, _imported, rule) => {
    const reported = rule === 'light-entry' ? 'lib/index.ts' : file
    expect(violations).toContain(`${reported} breaks ${rule}`)
  })
})

/** Names that two files of lib define with the same meaning, because one may not import the other. */
const SAME_MEANING: ReadonlyArray<readonly [name: string, reason: string]> = [
  ['MAX_TIMER_MS', 'a limit of Node; the emulator shares no line with the client that it tests']
]

// Prettier puts every top-level declaration at the beginning of a line.
const DECLARATION = /^(?:export )?(?:abstract |async )?(?:const|let|function\*?|class|interface|type) (\w+)/gm

describe('the top-level names of lib', () => {
  const filesOf = new Map<string, Set<string>>()
  for (const file of readdirSync(join(ROOT, 'lib'), { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    for (const [, name = ''] of readFileSync(join(ROOT, 'lib', file), 'utf8').matchAll(DECLARATION))
      filesOf.set(name, (filesOf.get(name) ?? new Set()).add(file))
  }

  it('have one meaning: none is defined in two files', () => {
    const definedTwice = [...filesOf].filter(([, files]) => files.size > 1).map(([name]) => name)
    expect(filesOf.has('RateLimiter')).toBe(true)
    expect(definedTwice).toStrictEqual(SAME_MEANING.map(([name]) => name))
  })
})
