import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastValueFrom } from 'rxjs'
import { fileJournal, type FileJournal } from 'rx-captcha/journal'

/** Paths of journals in a folder of their own, which are closed and removed after each test. */
export const journals = () => {
  let folder = ''
  let copies = 0
  const open: FileJournal[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
    copies = 0
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((journal) => journal.close()))
    rmSync(folder, { recursive: true })
  })
  const at = (name = 'batch.journal') => join(folder, name)
  const start = async (path = at()) => {
    const journal = await fileJournal(path)
    open.push(journal)
    return journal
  }
  /** What the next process finds if this one dies now: the file, but not our lock. */
  const startAfterDeath = (path = at()) => {
    const copy = at(`copy-${(copies += 1)}`)
    cpSync(path, copy)
    return start(copy)
  }
  return { at, start, startAfterDeath }
}

/** The tag of what is known of a key, with the id where there is one. */
export const stateOf = async ({ find }: FileJournal, key: string): Promise<string> => {
  const entry = await lastValueFrom(find(key))
  return entry._tag === 'Known' ? `Known ${entry.ref.taskId}` : entry._tag
}
