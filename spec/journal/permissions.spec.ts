import { chmodSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { built } from '../support/built.js'
import { journalProcesses, journals } from '../support/journals.js'

const { at, start } = journals()
const startProcess = journalProcesses(built())

// Permissions do not bind root, so the process becomes another user.
const setup = 'if (process.getuid() === 0) process.setuid(65_534)'

const openAsUser = async (path: string): Promise<ReadonlyArray<string>> => {
  const { ended, lines } = startProcess(path, `print('opened')`, { setup })
  await ended
  return lines()
}

const NO_PERMISSION = /Nothing was paid. This user has no permission: change the permissions of the file and its folder/

// Only root can own a file that another user of this test cannot replace.
const asRoot = process.getuid?.() === 0 ? it : it.skip
const onPosix = process.platform === 'win32' ? describe.skip : describe

onPosix('opening without permission', () => {
  beforeEach(() => {
    chmodSync(dirname(at()), 0o755)
    mkdirSync(at('folder'))
  })
  afterEach(() => {
    chmodSync(at('folder'), 0o755)
  })

  it.each([
    ['a new journal', false],
    ['a journal that exists', true]
  ])('refuses %s in a read-only folder, and changes nothing', async (_, exists) => {
    const path = at('folder/batch.journal')
    if (exists) await (await start(path)).close()
    const before = readdirSync(at('folder'))
    chmodSync(at('folder'), 0o555)
    const [message, ...more] = await openAsUser(path)
    expect(message).toMatch(/cannot be locked \(EACCES\)/)
    expect(message).toMatch(NO_PERMISSION)
    expect(more).toStrictEqual([])
    expect(readdirSync(at('folder'))).toStrictEqual(before)
  })

  it('refuses a folder that cannot be entered', async () => {
    chmodSync(at('folder'), 0o000)
    expect((await openAsUser(at('folder/batch.journal'))).join('\n')).toMatch(
      /cannot be opened \(EACCES\). Nothing was paid/
    )
  })

  it('refuses a file that cannot be read, and unlocks it', async () => {
    const path = at('folder/batch.journal')
    writeFileSync(path, 'secret')
    chmodSync(path, 0o000)
    chmodSync(at('folder'), 0o777)
    const [message] = await openAsUser(path)
    expect(message).toMatch(/cannot be read \(EACCES\)/)
    expect(message).toMatch(NO_PERMISSION)
    expect(readdirSync(at('folder'))).toStrictEqual(['batch.journal'])
  })

  asRoot('keeps a file that another user owns in a sticky folder, and leaves no other file', async () => {
    const path = at('folder/batch.journal')
    await (await start(path)).close()
    const text = readFileSync(path, 'utf8')
    chmodSync(path, 0o644)
    chmodSync(at('folder'), 0o1777)
    const [message] = await openAsUser(path)
    // The new file is written, but must not replace the old one.
    expect(message).toMatch(/cannot be written \(EPERM\)/)
    expect(message).toMatch(NO_PERMISSION)
    expect(readFileSync(path, 'utf8')).toBe(text)
    expect(readdirSync(at('folder'))).toStrictEqual(['batch.journal'])
  })
})
