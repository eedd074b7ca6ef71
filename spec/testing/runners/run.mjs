// Packs the library, installs it with the three runners in a temporary folder, and runs their examples: `npm run runners`.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../..', import.meta.url))
const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-runners-'))
const LIMIT_MS = 300_000

const run = (title, command, argv, cwd = folder) => {
  console.log(`-- ${title}`)
  execFileSync(command, argv, { cwd, stdio: ['ignore', 'inherit', 'inherit'], timeout: LIMIT_MS })
}

try {
  cpSync(join(root, 'spec/testing/runners'), folder, { recursive: true })
  run('pack', 'npm', ['pack', '--silent', '--pack-destination', folder], root)
  const tarball = readdirSync(folder).find((name) => name.endsWith('.tgz'))
  const quietly = ['--no-audit', '--no-fund', '--ignore-scripts']
  run('install', 'npm', ['install', ...quietly, `./${tarball}`])
  run('types', 'npx', ['--no', '--', 'tsc', '-p', 'tsconfig.json'])
  run('jest', 'npx', ['--no', '--', 'jest', '--ci'])
  run('vitest', 'npx', ['--no', '--', 'vitest', 'run', 'tokens.vitest.test.mts'])
  run('node:test', process.execPath, ['--test', 'tokens.node.test.mjs'])
} finally {
  rmSync(folder, { recursive: true })
}
