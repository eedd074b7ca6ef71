import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  symlinkSync,
  truncateSync
} from 'node:fs'
import { open, readFile, rename, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { lastValueFrom, type Observable } from 'rxjs'
import { InvalidOptions, type TaskRef } from 'rx-captcha'
import { JournalError, fileJournal, type FileJournal } from 'rx-captcha/journal'
import { AppendLog } from '../../lib/journal/append-log.js'
import { journalLine, bareRef } from '../../lib/journal/format.js'
import { currentOwner } from '../../lib/journal/owner.js'
import { journals, stateOf } from '../support/journals.js'
import { until } from '../support/raw-http.js'

const { at, start, startAfterCrash } = journals()

const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }
const done = <A>(observable: Observable<A>): Promise<A> => lastValueFrom(observable)

type Line = Readonly<Record<string, unknown>>
const linesIn = (path: string): ReadonlyArray<Line> =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line): Line => JSON.parse(line) as Line)
/** The lines without their times. */
const changesIn = (path: string) => linesIn(path).map(({ at: _at, openedAt: _openedAt, ...rest }) => rest)

describe('a key', () => {
  it('is fresh before it is begun, and in doubt afterwards', async () => {
    const journal = await start()
    expect(await done(journal.begin('k'))).toStrictEqual({ _tag: 'Fresh' })
    expect(await stateOf(journal, 'k')).toBe('InDoubt')
  })

  it('is not begun by `find`', async () => {
    const journal = await start()
    expect(await stateOf(journal, 'k')).toBe('Fresh')
    expect(await done(journal.begin('k'))).toStrictEqual({ _tag: 'Fresh' })
  })

  it('is in doubt if it is begun a second time in one process, even before the first line is on the disk', async () => {
    const journal = await start()
    const [first, second] = await Promise.all([done(journal.begin('k')), done(journal.begin('k'))])
    expect([first._tag, second._tag]).toStrictEqual(['Fresh', 'InDoubt'])
  })

  it('is in doubt if it was begun when the process died', async () => {
    await done((await start()).begin('k'))
    expect(await stateOf(await startAfterCrash(), 'k')).toBe('InDoubt')
  })

  it('is known with its reference once its task is created, in this process and in the next', async () => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.created('k', ref))
    expect(await done(journal.begin('k'))).toStrictEqual({ _tag: 'Known', ref })
    expect(await done((await startAfterCrash()).begin('k'))).toStrictEqual({ _tag: 'Known', ref })
  })

  it('is known once the id of its task arrives late', async () => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.ended('k', 'CreateUnknown'))
    await done(journal.created('k', ref))
    expect(await stateOf(await startAfterCrash(), 'k')).toBe('Known task-1')
  })

  const withTask: ReadonlyArray<readonly [string, string]> = [
    ['Solved', 'Finished'],
    ['TaskFailed', 'Finished'],
    ['TaskFailed{account}', 'Known task-1'],
    ['TimedOut', 'Known task-1'],
    ['Interrupted', 'Known task-1'],
    ['BadReply', 'Known task-1'],
    ['CreateUnknown', 'Known task-1'],
    ['NotCreated', 'Known task-1'],
    ['InvalidTask', 'Known task-1']
  ]
  it.each(withTask)('with a task that ended as %s is %s', async (tag, state) => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.created('k', ref))
    await done(journal.ended('k', tag))
    expect(await stateOf(journal, 'k')).toBe(state)
    expect(await stateOf(await startAfterCrash(), 'k')).toBe(state)
  })

  const withoutTask: ReadonlyArray<readonly [string, string]> = [
    ['NotCreated', 'Fresh'],
    ['Refused', 'Fresh'],
    ['InvalidTask', 'Fresh'],
    ['Refused{paid: unknown}', 'InDoubt'],
    ['CreateUnknown', 'InDoubt'],
    ['TimedOut', 'InDoubt']
  ]
  it.each(withoutTask)('without a task that ended as %s is %s', async (tag, state) => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.ended('k', tag))
    expect(await stateOf(journal, 'k')).toBe(state)
    expect(await stateOf(await startAfterCrash(), 'k')).toBe(state)
  })

  it('stays in doubt if an earlier process left it in doubt, whatever this process records', async () => {
    await done((await start()).begin('k'))
    const next = await startAfterCrash()
    await done(next.ended('k', 'NotCreated'))
    expect(await stateOf(next, 'k')).toBe('InDoubt')
    expect(await stateOf(await startAfterCrash(at('copy-1')), 'k')).toBe('InDoubt')
  })

  it('stays finished, and later changes are not written', async () => {
    const journal = await start()
    await done(journal.ended('k', 'Solved'))
    const { size } = statSync(at())
    await done(journal.created('k', ref))
    await done(journal.ended('k', 'TimedOut'))
    expect(await stateOf(journal, 'k')).toBe('Finished')
    expect(statSync(at()).size).toBe(size)
  })

  it('may be any text', async () => {
    const keys = ['', '__proto__', 'a\nb', '"}', '\ud800', '€ 🦊']
    const journal = await start()
    await Promise.all(keys.map((key) => done(journal.ended(key, 'Solved'))))
    const next = await startAfterCrash()
    expect(await Promise.all(keys.map((key) => stateOf(next, key)))).toStrictEqual(keys.map(() => 'Finished'))
  })
})

describe('the functions of a journal', () => {
  it('do nothing before they are subscribed to', async () => {
    const journal = await start()
    const { size } = statSync(at())
    journal.begin('k')
    expect(await stateOf(journal, 'k')).toBe('Fresh')
    expect(statSync(at()).size).toBe(size)
  })

  it('finish a write whose subscriber has unsubscribed', async () => {
    const journal = await start()
    journal.created('k', ref).subscribe().unsubscribe()
    await done(journal.find('k'))
    expect(await stateOf(await startAfterCrash(), 'k')).toBe('Known task-1')
  })

  it('error once the journal is closed, and `close` may be called again', async () => {
    const journal = await start()
    const last = done(journal.begin('k'))
    await Promise.all([journal.close(), journal.close()])
    expect(await last).toStrictEqual({ _tag: 'Fresh' })
    await expect(done(journal.ended('k', 'Solved'))).rejects.toThrow(
      /is closed. No further task is created; what was recorded before is kept. Close the journal after the last outcome/
    )
    await expect(done(journal.find('k'))).rejects.toThrow(JournalError)
  })
})

describe('a value that no type allows', () => {
  const values: ReadonlyArray<readonly [string, (journal: FileJournal) => Observable<unknown>]> = [
    ['a key that is a number', (journal) => journal.begin(7 as never)],
    ['no key', (journal) => journal.ended(undefined as never, 'Solved')],
    ['no tag', (journal) => journal.ended('k', undefined as never)],
    ['a task id that is a number', (journal) => journal.created('k', { taskId: 7 as never, createdAt: 0 })],
    ['an infinite createdAt', (journal) => journal.created('k', { taskId: 'id', createdAt: Infinity })],
    ['a createdAt that is not a number', (journal) => journal.created('k', { taskId: 'id', createdAt: NaN })]
  ]
  it.each(values)('is an error, and the file can be read again: %s', async (_, act) => {
    const journal = await start()
    await expect(done(act(journal))).rejects.toThrow(
      /was given a value that it could not read back. No further task is created/
    )
    await done(journal.begin('k'))
    expect(await stateOf(await startAfterCrash(), 'k')).toBe('InDoubt')
  })
})

describe('the file of a journal', () => {
  it('has one JSON document per line, also for an end that changes nothing', async () => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.created('k', ref))
    await done(journal.ended('k', 'TimedOut'))
    await done(journal.ended('k', 'Solved'))
    expect(changesIn(at())).toStrictEqual([
      { journal: 'rx-captcha', version: 1, ...currentOwner() },
      { key: 'k', begun: true },
      { key: 'k', ...ref },
      { key: 'k', ended: 'TimedOut' },
      { key: 'k', ended: 'Solved' }
    ])
    const times = linesIn(at()).map((line) => line.at ?? line.openedAt)
    expect(times.every((time) => typeof time === 'string' && new Date(time).toISOString() === time)).toBe(true)
  })

  it('has one line per key after the next start, finished keys included, with the time of its last change', async () => {
    const journal = await start()
    for (const key of ['solved', 'known', 'doubtful', 'fresh']) await done(journal.begin(key))
    for (const key of ['solved', 'known']) await done(journal.created(key, ref))
    await done(journal.ended('known', 'TimedOut'))
    await done(journal.ended('fresh', 'Refused'))
    await done(journal.ended('solved', 'Solved'))
    const before = new Map(linesIn(at()).map((line) => [line.key, line.at]))
    await journal.close()
    await start()
    expect(changesIn(at()).slice(1)).toStrictEqual([
      { key: 'solved', ended: 'Solved' },
      { key: 'known', ...ref },
      { key: 'doubtful', begun: true, inDoubt: true }
    ])
    expect(linesIn(at()).find(({ key }) => key === 'solved')?.at).toBe(before.get('solved'))
  })

  it('holds no field of a reference but its own', async () => {
    const journal = await start()
    await done(journal.created('k', { ...ref, ...{ clientKey: 'a-secret', inDoubt: true } }))
    expect(changesIn(at()).at(-1)).toStrictEqual({ key: 'k', ...ref })
  })

  const references: ReadonlyArray<readonly [string, TaskRef]> = [
    ['an id that came as a number', { ...ref, taskId: '90071992547409931', numeric: true }],
    ['an id that came as a string of digits', { ...ref, taskId: '90071992547409931' }],
    ['an id that came as a fraction', { ...ref, taskId: '1.10', numeric: true }],
    ['a clock that runs a century ahead', { ...ref, createdAt: 4_900_000_000_000.5 }],
    ['a clock that stands before 1970', { ...ref, createdAt: -1 }]
  ]
  it.each(references)('keeps a reference as it is through two starts: %s', async (_, given) => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.created('k', given))
    const next = await startAfterCrash()
    expect(await done(next.find('k'))).toStrictEqual({ _tag: 'Known', ref: given })
    expect(await done((await startAfterCrash(at('copy-1'))).find('k'))).toStrictEqual({ _tag: 'Known', ref: given })
  })

  it('is created for its owner only, and keeps its mode after that', async () => {
    const journal = await start()
    expect(statSync(at()).mode & 0o777).toBe(0o600)
    await journal.close()
    chmodSync(at(), 0o640)
    await start()
    expect(statSync(at()).mode & 0o777).toBe(0o640)
  })

  it('is found through a link, and the link is kept', async () => {
    const journal = await start()
    await done(journal.ended('k', 'Solved'))
    await journal.close()
    symlinkSync(at(), at('link'))
    expect(await stateOf(await start(at('link')), 'k')).toBe('Finished')
    expect(readdirSync(dirname(at())).sort()).toStrictEqual(['batch.journal', 'batch.journal.lock', 'link'])
  })

  it('is the only file in its folder once it is closed', async () => {
    await writeFile(at('batch.journal.tmp'), 'from a start that died')
    await (await start()).close()
    expect(readdirSync(dirname(at()))).toStrictEqual(['batch.journal'])
  })
})

describe('opening', () => {
  const fileWith = async (...keys: ReadonlyArray<string>) => {
    const journal = await start()
    for (const key of keys) await done(journal.begin(key))
    await journal.close()
  }

  it('skips a torn last line, and appends after it', async () => {
    await fileWith('a', 'b')
    truncateSync(at(), statSync(at()).size - 8)
    const journal = await start()
    expect([await stateOf(journal, 'a'), await stateOf(journal, 'b')]).toStrictEqual(['InDoubt', 'Fresh'])
    await done(journal.ended('b', 'Solved'))
    expect(await stateOf(await startAfterCrash(), 'b')).toBe('Finished')
  })

  const NULS = '\0'.repeat(5_000)
  const header = '{"journal":"rx-captcha","version":1,"openedAt":"2026-01-01T00:00:00.000Z","pid":1,"place":"here"}\n'
  const line = (key: string) => `{"at":"2026-01-01T00:00:00.000Z","key":"${key}","begun":true}\n`

  // What a power cut leaves: the file has grown, and a part of what was written last has not reached the disk.
  const remains: ReadonlyArray<readonly [string, string]> = [
    ['null characters', NULS],
    ['null characters and a newline', `${NULS}\n`],
    ['more null characters than a chunk has', NULS.repeat(50)],
    ['half a line and null characters', `{"at":"2026-01-01T00:0${NULS}`],
    ['null characters and half a line', `${NULS}egun":true}\n`],
    ['a line without its middle', `{"at":"2026-01-01T00:0${NULS}n":true}\n`],
    ['half a character', '{"at":"2026-01-01T00:00:00.000Z","key":"\u00fc']
  ]
  it.each(remains)('skips what a power cut left at the end: %s', async (_, rest) => {
    const bytes = Buffer.from(header + line('a') + line('b') + rest)
    await writeFile(at(), rest.endsWith('\u00fc') ? bytes.subarray(0, -1) : bytes)
    const journal = await start()
    expect([await stateOf(journal, 'a'), await stateOf(journal, 'b')]).toStrictEqual(['InDoubt', 'InDoubt'])
    await done(journal.ended('c', 'Solved'))
    const next = await startAfterCrash()
    expect([await stateOf(next, 'b'), await stateOf(next, 'c')]).toStrictEqual(['InDoubt', 'Finished'])
    expect(readFileSync(at(), 'utf8')).not.toContain('\0')
  })

  it.each(['', NULS])(
    'reads the task id of a torn last line once it is whole, wherever the line is cut %#',
    async (rest) => {
      const given: TaskRef = { taskId: 'a "quoted" id, \\ and \u00fc', createdAt: 1_767_225_600_123, numeric: true }
      const whole = journalLine('2026-01-01T00:00:09.000Z', 'a', bareRef(given)).slice(0, -1)
      const idEnds = whole.indexOf('\u00fc"') + 2
      const createdAt = Date.parse('2026-01-01T00:00:00.000Z') // when the key was begun
      const check = async (cut: number) => {
        const path = at(`cut-${cut}`)
        await writeFile(path, header + line('a') + whole.slice(0, cut) + rest)
        const expected = cut < idEnds ? { _tag: 'InDoubt' } : { _tag: 'Known', ref: { ...given, createdAt } }
        expect([cut, await done((await start(path)).find('a'))]).toStrictEqual([cut, expected])
      }
      await Promise.all(Array.from({ length: whole.length - 1 }, (_, nth) => check(nth + 1)))
    }
  )

  it('reads a torn last line that lacks its newline only, and one of a key that was not begun', async () => {
    const [at1, at2] = ['2026-01-01T00:00:01.000Z', '2026-01-01T00:00:02.000Z']
    await writeFile(at(), header + line('a') + journalLine(at1, 'a', ref).replace('\n', '\0'))
    expect(await done((await start()).find('a'))).toStrictEqual({ _tag: 'Known', ref })
    await writeFile(at('late'), `${header}{"at":"${at2}","key":"z","taskId":"id"`)
    const late = { taskId: 'id', createdAt: Date.parse(at2) }
    expect(await done((await start(at('late'))).find('z'))).toStrictEqual({ _tag: 'Known', ref: late })
  })

  it('does not forget a finished key because of a torn last line', async () => {
    const torn = '{"at":"2026-01-01T00:00:02.000Z","key":"a","taskId":"id"'
    await writeFile(at(), header + journalLine('2026-01-01T00:00:01.000Z', 'a', { ended: 'Solved' }) + torn)
    expect(await stateOf(await start(), 'a')).toBe('Finished')
  })

  it('reads a last line without a newline', async () => {
    await fileWith('a', 'b')
    truncateSync(at(), statSync(at()).size - 1)
    expect(await stateOf(await start(), 'b')).toBe('InDoubt')
  })

  it('reads empty lines and line ends of an editor', async () => {
    await fileWith('a', 'b')
    await writeFile(at(), (await readFile(at(), 'utf8')).replaceAll('\n', '\r\n\r\n'))
    const journal = await start()
    expect([await stateOf(journal, 'a'), await stateOf(journal, 'b')]).toStrictEqual(['InDoubt', 'InDoubt'])
  })

  it('reads a file of several chunks, whose characters may be cut by them', async () => {
    const journal = await start()
    const keys = Array.from({ length: 2_000 }, (_, index) => `€${'ü'.repeat(index % 50)}${index}`)
    await Promise.all(keys.map((key) => done(journal.ended(key, 'Solved'))))
    const next = await startAfterCrash()
    const states = await Promise.all(keys.map((key) => stateOf(next, key)))
    expect(states.filter((state) => state === 'Finished')).toHaveLength(2_000)
  })

  /** Expects that opening fails, that the file is not changed, and that no lock is left. */
  const expectRefused = async (text: string, message: RegExp) => {
    await writeFile(at(), text)
    const error: unknown = await start().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(JournalError)
    expect(String(error)).toMatch(message)
    expect(readFileSync(at(), 'utf8')).toBe(text)
    expect(readdirSync(dirname(at()))).toStrictEqual(['batch.journal'])
  }

  const damages: ReadonlyArray<readonly [string, string]> = [
    ['is cut', '{"at":"2026-01\n'],
    ['is not JSON', 'begun\n'],
    ['is only null characters', '\0\0\0\n'],
    ['has no key', '{"at":"2026-01-01T00:00:00.000Z","begun":true}\n'],
    ['has no change', '{"at":"2026-01-01T00:00:00.000Z","key":"x"}\n'],
    ['has a task id that is not a string', '{"at":"2026-01-01T00:00:00.000Z","key":"x","taskId":7,"createdAt":1}\n']
  ]
  it.each(damages)('refuses a file with a line in the middle that %s, and names its number', async (_, damage) => {
    await expectRefused(
      header + line('a') + damage + line('b'),
      /is damaged: line 3 cannot be read. The file was not changed. Nothing was paid. Correct or remove that line/
    )
  })

  const foreign: ReadonlyArray<readonly [string, string]> = [
    ['is empty', ''],
    ['is another text', 'websiteURL,websiteKey\n'],
    ['is another JSON document', '{"journal":"another"}\n{}\n'],
    ['is one long line', 'x'.repeat(200_000)],
    ['is a journal without its first line', line('a')]
  ]
  it.each(foreign)('refuses a file that %s', async (_, text) => {
    await expectRefused(
      text,
      /exists, but is not a journal of rx-captcha. The file was not changed. Nothing was paid. Use another path/
    )
  })

  it('refuses a journal of a later version', async () => {
    await expectRefused(header.replace('1', '2') + line('a'), /Use the version of rx-captcha that wrote it/)
  })

  it.each([undefined, null, '', 7, { path: 'a.journal' }])('refuses %p as a path', async (path) => {
    const opening = fileJournal(path as string)
    await expect(opening).rejects.toBeInstanceOf(InvalidOptions)
    await expect(opening).rejects.toThrow('path: expected a string that is not empty')
  })

  it('refuses a path in a folder that does not exist', async () => {
    await expect(start(at('no/batch.journal'))).rejects.toThrow(
      /cannot be locked \(ENOENT\). Nothing was paid. Its folder does not exist/
    )
  })

  it('refuses a folder', async () => {
    mkdirSync(at('folder'))
    await expect(start(at('folder'))).rejects.toThrow(/is not a regular file. Nothing was paid. Use another path/)
  })

  it('refuses a path below a file', async () => {
    await writeFile(at('file'), '')
    await expect(start(at('file/batch.journal'))).rejects.toThrow(
      /cannot be opened \(ENOTDIR\). Nothing was paid. A part of the path is not a folder/
    )
  })

  it('refuses a device', async () => {
    await expect(start('/dev/full')).rejects.toThrow(JournalError)
  })

  it('keeps the file if a new one cannot be written', async () => {
    await (await start()).close()
    const text = readFileSync(at(), 'utf8')
    mkdirSync(at('batch.journal.tmp'))
    await expect(start()).rejects.toThrow(/cannot be written/)
    expect(readFileSync(at(), 'utf8')).toBe(text)
  })

  it('removes the new file and the locks if the new file cannot be renamed', async () => {
    const opening = start()
    // Not `until`, whose pauses are longer than the file exists.
    while (!existsSync(at('batch.journal.tmp'))) await new Promise((resolve) => setImmediate(resolve))
    // A file cannot replace a folder.
    mkdirSync(at())
    await expect(opening).rejects.toThrow(/cannot be written \(EISDIR\). Nothing was paid. Fix the cause/)
    expect(readdirSync(dirname(at()))).toStrictEqual(['batch.journal'])
  })
})

describe('AppendLog', () => {
  const pending = new JournalError('x', 'is an example', '')
  const opened: FileHandle[] = []
  afterEach(() => Promise.all(opened.splice(0).map((handle) => handle.close())))

  const logOn = async (path: string, isOurs = () => true) => {
    const handle = await open(path, 'a')
    opened.push(handle)
    const log = new AppendLog(path, handle, isOurs)
    const write = (text: string) =>
      new Promise<JournalError | undefined>((resolve) => {
        log.write(text, resolve)
      })
    return { handle, log, write }
  }

  it('calls back once the text is on the disk, and not before', async () => {
    const { handle, write } = await logOn(at('text'))
    let sync: (() => void) | undefined
    jest.spyOn(handle, 'datasync').mockImplementation(() => new Promise<void>((resolve) => (sync = resolve)))
    let result: unknown = pending
    void write('a\n').then((error) => (result = error))
    await until(() => sync !== undefined)
    expect([result, readFileSync(at('text'), 'utf8')]).toStrictEqual([pending, 'a\n'])
    sync?.()
    await until(() => result === undefined)
  })

  it('writes all lines that wait at once', async () => {
    const { handle, write } = await logOn(at('text'))
    const [writing, syncing] = [jest.spyOn(handle, 'appendFile'), jest.spyOn(handle, 'datasync')]
    let sync: (() => void) | undefined
    syncing.mockImplementationOnce(() => new Promise<void>((resolve) => (sync = resolve)))
    const first = write('first\n')
    await until(() => sync !== undefined)
    const others = Array.from({ length: 1_000 }, (_, index) => write(`${index}\n`))
    sync?.()
    await Promise.all([first, ...others])
    expect([writing.mock.calls.length, syncing.mock.calls.length]).toStrictEqual([2, 2])
    expect(readFileSync(at('text'), 'utf8').split('\n').slice(0, 3)).toStrictEqual(['first', '0', '1'])
  })

  const withFullDisk = process.platform === 'linux' ? it : it.skip
  withFullDisk('errors once the disk is full, for waiting and later lines', async () => {
    const { log, write } = await logOn('/dev/full')
    const errors = await Promise.all([write('a\n'), write('b\n')])
    errors.push(await write('c\n'), await new Promise((resolve) => log.flush(resolve)))
    const message =
      'The journal /dev/full cannot be written any more (ENOSPC). No further task is created; what was recorded before is kept. ' +
      'The disk is full: make room, then start again.'
    expect(errors.map((error) => error?.message)).toStrictEqual([message, message, message, message])
    expect(errors[0]?.cause?.code).toBe('ENOSPC')
  })

  it('does not write again after a failure', async () => {
    const { handle, write } = await logOn(at('text'))
    jest.spyOn(handle, 'datasync').mockRejectedValueOnce(Object.assign(new Error('i/o error'), { code: 'EIO' }))
    expect((await write('a\n'))?.message).toMatch(
      /\(EIO\). No further task is created; .* Fix the cause, then start again: recorded tasks are continued/
    )
    expect((await write('b\n'))?.message).toMatch(/\(EIO\)/)
    expect(readFileSync(at('text'), 'utf8')).toBe('a\n')
  })

  it('errors once the lock is lost', async () => {
    const { write } = await logOn(at('text'), () => false)
    expect((await write('a\n'))?.message).toMatch(/is not locked any more: its lock was removed/)
  })

  it('errors once another file has its path', async () => {
    const journal = await start()
    await writeFile(at('other'), '')
    await rename(at('other'), at())
    await expect(done(journal.begin('k'))).rejects.toThrow(/another process took it over/)
  })
})
