// Checks the tarball that would be published: its entry points, its types under every resolver, and its list of files.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ROOT, filesIn, tarball, temporaryFolder } from './pack.mjs'

const packed = tarball(temporaryFolder())
const run = (command, ...args) =>
  execFileSync(process.execPath, [join(ROOT, 'node_modules', command), ...args], { cwd: ROOT, stdio: 'inherit' })

run('publint/src/cli.js', '--strict', packed)
run('@arethetypeswrong/cli/dist/index.js', '--no-emoji', packed)

const files = filesIn(packed)
const EXPECTED = [
  /^(package\.json|README\.md|LICENSE|CHANGELOG\.md)$/,
  /^dist\/[\w/-]+\.(js|d\.ts)$/,
  /^docs\/(?!releasing)[\w/-]+\.(md|svg|webp|ts)$/
]
const superfluous = files.filter((name) => !EXPECTED.some((pattern) => pattern.test(name)))
if (superfluous.length > 0) throw new Error(`the package holds what no user needs:\n${superfluous.join('\n')}`)

// A page in the package must not link to a page that is left out of it.
const LINK = /\]\((?!https?:|#)([^)#\s]+)|(?:src|srcset|href)="(?!https?:|#)([^"#\s]+)/g
const missing = files
  .filter((name) => name.endsWith('.md'))
  .flatMap((page) =>
    [...readFileSync(join(ROOT, page), 'utf8').matchAll(LINK)].map(([, link, attribute]) => ({
      page,
      target: join(dirname(page), link ?? attribute)
    }))
  )
  .filter(({ target }) => !files.some((name) => name === target || name.startsWith(`${target}/`)))
  .map(({ page, target }) => `${page} -> ${target}`)
if (missing.length > 0) throw new Error(`these links lead out of the package:\n${missing.join('\n')}`)

console.log(`${files.length} files in the package`)
