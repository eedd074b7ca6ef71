// Follows README.md to the letter in an empty folder, as a newcomer would: its installation, its first program and its first
// command. Only the package comes from a file, because the version is not on the registry yet.
//   node spec/docs/follow-readme.mjs TARBALL FOLDER
import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const [tarball, folder] = process.argv.slice(2).map((path) => resolve(path))

const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8').replace(
  /<details>.*?<\/details>/gs,
  ''
)

/** The code blocks of a section. */
const blocksUnder = (heading) => {
  const section = readme.split(/^## /m).find((text) => text.startsWith(`${heading}\n`))
  if (section === undefined) throw new Error(`README.md has no section ${heading}`)
  return [...section.matchAll(/^```(\w+)\n(.*?)^```$/gms)].map(([, language, code]) => ({ language, code }))
}

const follow = ({ language, code }) => {
  const [, name] = /^\/\/ (\S+\.mjs)\n/.exec(code) ?? []
  if (language === 'js' && name) writeFileSync(join(folder, name), code)
  if (language !== 'sh') return ''
  const script = code.replace(/(npm install) rx-captcha\b/, `$1 '${tarball}'`)
  console.log(script.trim())
  const out = execFileSync('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit']
  })
  console.log(out.trim())
  return out
}

const expectToken = (out) => {
  if (!/^03A/m.test(out)) throw new Error('README.md promises a token that begins with 03A')
}

blocksUnder('Install').forEach(follow)
expectToken(blocksUnder('A first program, without an account').map(follow).join(''))
expectToken(follow(blocksUnder('The command')[0]))
