import { buildProgram } from '../../lib/cli/program.js'
import { makeContext } from '../support/command.js'
import { textOf } from '../support/doc-pages.js'

const { program } = buildProgram(makeContext())
const page = textOf('docs/command.md')

/** The flags in the table of a command. */
const documentedFlags = (name: string): ReadonlyArray<string> => {
  const [, section = ''] = new RegExp(`^## ${name}\\n(.*?)(?=^## )`, 'ms').exec(page) ?? []
  return Array.from(section.matchAll(/^\| `(--[^`]+)`/gm), ([, flags = '']) => flags)
}

describe('docs/command.md', () => {
  it.each(program.commands.map((command) => [command.name(), command] as const))(
    'lists the options of %s as its help does',
    (name, { options }) => {
      expect(page).toContain(`\n## ${name}\n`)
      expect(documentedFlags(name)).toStrictEqual(options.map(({ flags }) => flags))
    }
  )
})
