import { spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastValueFrom } from 'rxjs'
import { fileJournal, type FileJournal } from 'rx-captcha/journal'

/** Opens journals in a temporary folder of each test; closes the journals and removes the folder after the test. */
export const journals = () => {
  let folder = ''
  let copies = 0
  const opened: FileJournal[] = []
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
    copies = 0
  })
  afterEach(async () => {
    await Promise.all(opened.splice(0).map((journal) => journal.close()))
    rmSync(folder, { recursive: true })
  })
  /** A path in the folder. */
  const at = (name = 'batch.journal') => join(folder, name)
  const start = async (path = at()) => {
    const journal = await fileJournal(path)
    opened.push(journal)
    return journal
  }
  /** Opens a copy of the file, without its lock: what the next process would find if this one died now. */
  const startAfterCrash = (path = at()) => {
    const copy = at(`copy-${(copies += 1)}`)
    cpSync(path, copy)
    return start(copy)
  }
  return { at, start, startAfterCrash }
}

/** The tag of the entry of a key, with the task id if there is one. */
export const stateOf = async ({ find }: FileJournal, key: string): Promise<string> => {
  const entry = await lastValueFrom(find(key))
  return entry._tag === 'Known' ? `Known ${entry.ref.taskId}` : entry._tag
}

/**
 * Starts processes that open a journal as `journal` and run a script with `done` (the last value of an Observable, as a
 * promise) and `print`. A process that fails prints the message of its error. Kills them after each test, or after all.
 */
export const journalProcesses = (library: () => string, over = afterEach) => {
  const running: (() => void)[] = []
  over(() => running.splice(0).forEach((kill) => kill()))

  /** `command` is put before the command line; `setup` runs before the journal is opened. */
  return (path: string, script: string, { command = [], setup = '' }: JournalProcessOptions = {}) => {
    const argv = [...command, process.execPath, '-e', programOf(script, setup), path]
    const child = spawn(argv[0] ?? '', argv.slice(1), { cwd: library() })
    let output = ''
    child.stdout.on('data', (chunk) => (output += String(chunk)))
    child.stderr.on('data', (chunk) => (output += String(chunk)))
    const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
    const kill = () => {
      child.kill('SIGKILL')
      return ended
    }
    running.push(() => void kill())
    const lines = () => output.split('\n').slice(0, -1)
    /** Resolves once so many lines are printed. Listens, because a loop would take the time that the processes need. */
    const printed = (count: number) =>
      new Promise<void>((resolve) => {
        const check = () => {
          if (lines().length >= count) resolve()
        }
        child.stdout.on('data', check)
        check()
      })
    return { child, ended, kill, lines, printed }
  }
}

interface JournalProcessOptions {
  readonly command?: ReadonlyArray<string>
  readonly setup?: string
}

const programOf = (script: string, setup: string) => `
  const { lastValueFrom } = require('rxjs')
  const { fileJournal } = require('./dist/journal/index.js')
  const done = (observable) => lastValueFrom(observable)
  const print = (text) => process.stdout.write(text + '\\n')
  ${setup}
  fileJournal(process.argv[1]).then(async (journal) => {
    // As long as the process runs, or else the file would be closed with a warning when the journal is collected.
    globalThis.opened = journal
    ${script}
  }).catch((error) => {
    print(error.message)
    process.exitCode = 1
  })`
