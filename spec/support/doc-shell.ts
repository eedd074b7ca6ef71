import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ROOT, blocksOf, textOf, type Block } from './doc-pages.js'

interface Manifest {
  readonly name: string
  readonly scripts: Readonly<Record<string, string>>
  readonly peerDependencies: Readonly<Record<string, string>>
  readonly peerDependenciesMeta: Readonly<Record<string, { readonly optional: boolean }>>
}

const manifest = JSON.parse(textOf('package.json')) as Manifest

/** A word of a shell: quoted text, the start of a comment, an operator, or a bare word. */
const WORD = /'([^']*)'|"([^"]*)"|(#.*)$|(&&|\|\||[|;&])|[^\s'"|;&]+/gm

/** A command of a shell block, as words without its variables and redirections. */
export type Words = ReadonlyArray<string>

/** The commands of a shell block, in order. Here-documents are not read. */
export const commandsOf = ({ code }: Pick<Block, 'code'>): ReadonlyArray<Words> =>
  code.replaceAll('\\\n', ' ').split('\n').flatMap(commandsOfLine)

const commandsOfLine = (line: string): ReadonlyArray<Words> => {
  const commands: string[][] = [[]]
  for (const [word, single, double, comment, operator] of line.matchAll(WORD)) {
    if (comment !== undefined) break
    if (operator !== undefined) commands.push([])
    else commands.at(-1)!.push(single ?? double ?? word)
  }
  return commands
    .map((words) => words.filter((word, i) => !/^\d?[<>]/.test(word) && !/^\d?[<>]+$/.test(words[i - 1] ?? '')))
    .map((words) => words.slice(words.findIndex((word) => !/^[A-Z_]+=/.test(word))))
    .filter(([program]) => program !== undefined)
}

/** The arguments of `rx-captcha`, if that is the command. */
const argumentsOf = ([program, ...words]: Words): Words | undefined => {
  if (program === manifest.name) return words
  return program === 'npx' && words[0] === manifest.name ? words.slice(1) : undefined
}

/** The arguments of each `rx-captcha` command of a shell block. */
export const callsOf = (block: Pick<Block, 'code'>): ReadonlyArray<Words> =>
  commandsOf(block).flatMap((words) => {
    const args = argumentsOf(words)
    return args ? [args] : []
  })

/** What a shell may do that needs no check: nothing of it names a file, a script or an option of this project. */
const BUILTINS = ['cd', 'export', 'read', 'mkdir', 'git', 'cat', 'echo', 'curl', 'jq', 'kill']

/** What is wrong with a command of a page, apart from the arguments of `rx-captcha`. */
export const problemOf = (page: string, words: Words): string | undefined => {
  const [program = '', ...args] = words
  if (argumentsOf(words) || BUILTINS.includes(program)) return undefined
  switch (program) {
    case 'npm':
      return problemOfNpm(args)
    case 'npx':
      return problemOfNpx(page, args)
    case 'node':
      return problemOfFiles(page, args)
    default:
      return `unknown command: ${program}`
  }
}

/** Commands of other packages, for an application that uses this one. */
const FOREIGN = ['@nestjs/cli', 'nest', 'ts-jest', 'tsx']

const problemOfNpx = (page: string, [command = '', ...args]: Words): string | undefined => {
  if (FOREIGN.includes(command)) return undefined
  return command === 'jest' ? problemOfFiles(page, args) : `unknown command: npx ${command}`
}

const problemOfNpm = ([command = '', ...args]: Words): string | undefined => {
  const names = args.filter((arg) => !arg.startsWith('-'))
  switch (command) {
    case 'ci':
    case 'init':
    case 'pack':
      return undefined
    case 'test':
    case 'run': {
      const script = command === 'test' ? 'test' : names[0]!
      return script in manifest.scripts ? undefined : `no script ${script} in package.json`
    }
    case 'install':
    case 'i': {
      const isOptional = (name: string): boolean => manifest.peerDependenciesMeta[name]?.optional === true
      const peers = Object.keys(manifest.peerDependencies).filter((name) => !isOptional(name))
      const installed = names.map((name) => name.replace(/^.*\brx-captcha-[\d.]+\.tgz$/, manifest.name))
      return installed.includes(manifest.name) && !peers.every((name) => installed.includes(name))
        ? `expected to install ${peers.join(' and ')}, too`
        : undefined
    }
    default:
      return `unknown command: npm ${command}`
  }
}

/** A file is in this project, or is a block of the page that begins with its name: `// first.mjs`. */
const problemOfFiles = (page: string, args: Words): string | undefined =>
  args
    .filter((arg) => /\.[a-z]+$/.test(arg) && !existsSync(join(ROOT, arg)))
    .filter((arg) => !blocksOf(page).some(({ code }) => code.startsWith(`// ${arg}`)))
    .map((arg) => `no file ${arg}`)[0]
