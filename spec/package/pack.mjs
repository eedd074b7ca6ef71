// Packs the package, as npm would publish it.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '../..')

/** A temporary folder that is removed when the process ends. */
export const temporaryFolder = () => {
  const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-package-'))
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** The path of the tarball: the one that `RX_CAPTCHA_TARBALL` names, or a new one with a new build. */
export const tarball = (folder) => {
  if (process.env.RX_CAPTCHA_TARBALL) return process.env.RX_CAPTCHA_TARBALL
  const packed = execFileSync('npm', ['pack', '--json', '--pack-destination', folder], {
    cwd: ROOT,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  })
  return join(folder, JSON.parse(packed)[0].filename)
}

/** The paths in the tarball, without the `package/` before each. */
export const filesIn = (path) =>
  execFileSync('tar', ['-tzf', path], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((name) => name.replace(/^package\//, ''))
    .sort()
