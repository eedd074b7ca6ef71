import { chmodSync, mkdirSync, readFileSync, readdirSync, statSync, symlinkSync, truncateSync } from 'node:fs'
import { open, readFile, rename, writeFile, type FileHandle } from 'node:fs/promises'
import { dirname } from 'node:path'
import { lastValueFrom, type Observable } from 'rxjs'
import { JournalError } from 'rx-captcha/journal'
import { AppendLog } from '../../lib/journal/append-log.js'
import { journals, stateOf } from '../support/journals.js'
import { until } from '../support/raw-http.js'

const { at, start, startAfterDeath } = journals()

const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }
const done = <A>(observable: Observable<A>): Promise<A> => lastValueFrom(observable)

type Read = Readonly<Record<string, unknown>>
const linesIn = (path: string): ReadonlyArray<Read> =>
  readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map((line): Read => JSON.parse(line) as Read)
/** Without the times, which differ. */
const saysIn = (path: string) => linesIn(path).map(({ at: _at, openedAt: _openedAt, ...rest }) => rest)

describe('a key', () => {
  it('that is new is fresh, and begun then', async () => {
    const journal = await start()
    expect(await done(journal.begin('k'))).toStrictEqual({ _tag: 'Fresh' })
    expect(await stateOf(journal, 'k')).toBe('InDoubt')
  })

  it('is not begun by looking', async () => {
    const journal = await start()
    expect(await stateOf(journal, 'k')).toBe('Fresh')
    expect(await done(journal.begin('k'))).toStrictEqual({ _tag: 'Fresh' })
  })

  it('that is begun twice in one process is in doubt the second time, even before the first is on the disk', async () => {
    const journal = await start()
    const [first, second] = await Promise.all([done(journal.begin('k')), done(journal.begin('k'))])
    expect([first._tag, second._tag]).toStrictEqual(['Fresh', 'InDoubt'])
  })

  it('that was begun when the process died is in doubt', async () => {
    await done((await start()).begin('k'))
    expect(await stateOf(await startAfterDeath(), 'k')).toBe('InDoubt')
  })

  it('whose task was created is known with its reference, in this process and in the next', async () => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.created('k', ref))
    expect(await done(journal.begin('k'))).toStrictEqual({ _tag: 'Known', ref })
    expect(await done((await startAfterDeath()).begin('k'))).toStrictEqual({ _tag: 'Known', ref })
  })

  it('that was in doubt is known once its id comes late', async () => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.ended('k', 'CreateUnknown'))
    await done(journal.created('k', ref))
    expect(await stateOf(await startAfterDeath(), 'k')).toBe('Known task-1')
  })

  const afterTask: ReadonlyArray<readonly [string, string]> = [
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
  it.each(afterTask)('with a task is, after %s, %s', async (tag, state) => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.created('k', ref))
    await done(journal.ended('k', tag))
    expect(await stateOf(journal, 'k')).toBe(state)
    expect(await stateOf(await startAfterDeath(), 'k')).toBe(state)
  })

  const afterIntent: ReadonlyArray<readonly [string, string]> = [
    ['NotCreated', 'Fresh'],
    ['Refused', 'Fresh'],
    ['InvalidTask', 'Fresh'],
    ['Refused{unknown}', 'InDoubt'],
    ['CreateUnknown', 'InDoubt'],
    ['TimedOut', 'InDoubt']
  ]
  it.each(afterIntent)('without a task is, after %s, %s', async (tag, state) => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.ended('k', tag))
    expect(await stateOf(journal, 'k')).toBe(state)
    expect(await stateOf(await startAfterDeath(), 'k')).toBe(state)
  })

  it('that an earlier process left in doubt does not become fresh again', async () => {
    await done((await start()).begin('k'))
    const next = await startAfterDeath()
    await done(next.ended('k', 'NotCreated'))
    expect(await stateOf(next, 'k')).toBe('InDoubt')
    expect(await stateOf(await startAfterDeath(at('copy-1')), 'k')).toBe('InDoubt')
  })

  it('that is finished stays so, whatever comes late', async () => {
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
    const next = await startAfterDeath()
    expect(await Promise.all(keys.map((key) => stateOf(next, key)))).toStrictEqual(keys.map(() => 'Finished'))
  })
})

describe('the functions', () => {
  it('do nothing before they are subscribed to', async () => {
    const journal = await start()
    const { size } = statSync(at())
    journal.begin('k')
    expect(await stateOf(journal, 'k')).toBe('Fresh')
    expect(statSync(at()).size).toBe(size)
  })

  it('write to the end what the subscriber left', async () => {
    const journal = await start()
    journal.created('k', ref).subscribe().unsubscribe()
    await done(journal.find('k'))
    expect(await stateOf(await startAfterDeath(), 'k')).toBe('Known task-1')
  })

  it('error once the journal is closed, however often', async () => {
    const journal = await start()
    const last = done(journal.begin('k'))
    await Promise.all([journal.close(), journal.close()])
    expect(await last).toStrictEqual({ _tag: 'Fresh' })
    await expect(done(journal.ended('k', 'Solved'))).rejects.toThrow(/is closed/)
    await expect(done(journal.find('k'))).rejects.toThrow(JournalError)
  })
})

describe('the file', () => {
  it('is one JSON document a line, for people to read', async () => {
    const journal = await start()
    await done(journal.begin('k'))
    await done(journal.created('k', ref))
    await done(journal.ended('k', 'TimedOut'))
    await done(journal.ended('k', 'Solved'))
    expect(saysIn(at())).toStrictEqual([
      { journal: 'rx-captcha', version: 1, pid: process.pid, place: expect.any(String) as string },
      { key: 'k', begun: true },
      { key: 'k', ...ref },
      { key: 'k', ended: 'TimedOut' },
      { key: 'k', ended: 'Solved' }
    ])
    const times = linesIn(at()).map((line) => line.at ?? line.openedAt)
    expect(times.every((time) => typeof time === 'string' && new Date(time).toISOString() === time)).toBe(true)
  })

  it('has one line a key after the next start, the finished ones too, with the times of before', async () => {
    const journal = await start()
    for (const key of ['solved', 'known', 'doubtful', 'fresh']) await done(journal.begin(key))
    for (const key of ['solved', 'known']) await done(journal.created(key, ref))
    await done(journal.ended('known', 'TimedOut'))
    await done(journal.ended('fresh', 'Refused'))
    await done(journal.ended('solved', 'Solved'))
    const before = new Map(linesIn(at()).map((line) => [line.key, line.at]))
    await journal.close()
    await start()
    expect(saysIn(at()).slice(1)).toStrictEqual([
      { key: 'solved', ended: 'Solved' },
      { key: 'known', ...ref },
      { key: 'doubtful', begun: true, inDoubt: true }
    ])
    expect(linesIn(at()).find(({ key }) => key === 'solved')?.at).toBe(before.get('solved'))
  })

  it('takes no more of a reference than its two fields', async () => {
    const journal = await start()
    await done(journal.created('k', { ...ref, ...{ clientKey: 'a-secret', inDoubt: true } }))
    expect(saysIn(at()).at(-1)).toStrictEqual({ key: 'k', ...ref })
  })

  it('keeps its mode, and begins as its owner’s alone', async () => {
    const journal = await start()
    expect(statSync(at()).mode & 0o777).toBe(0o600)
    await journal.close()
    chmodSync(at(), 0o640)
    await start()
    expect(statSync(at()).mode & 0o777).toBe(0o640)
  })

  it('is found through a link, which stays one', async () => {
    const journal = await start()
    await done(journal.ended('k', 'Solved'))
    await journal.close()
    symlinkSync(at(), at('link'))
    expect(await stateOf(await start(at('link')), 'k')).toBe('Finished')
    expect(readdirSync(dirname(at())).sort()).toStrictEqual(['batch.journal', 'batch.journal.lock', 'link'])
  })

  it('is alone in its folder once it is closed', async () => {
    await writeFile(at('batch.journal.tmp'), 'of a start that died')
    await (await start()).close()
    expect(readdirSync(dirname(at()))).toStrictEqual(['batch.journal'])
  })
})

describe('a file that', () => {
  const begun = async (...keys: ReadonlyArray<string>) => {
    const journal = await start()
    for (const key of keys) await done(journal.begin(key))
    await journal.close()
  }

  it('ends in a cut line is opened without it, and goes on behind it', async () => {
    await begun('a', 'b')
    truncateSync(at(), statSync(at()).size - 8)
    const journal = await start()
    expect([await stateOf(journal, 'a'), await stateOf(journal, 'b')]).toStrictEqual(['InDoubt', 'Fresh'])
    await done(journal.ended('b', 'Solved'))
    expect(await stateOf(await startAfterDeath(), 'b')).toBe('Finished')
  })

  it('ends without a newline loses nothing', async () => {
    await begun('a', 'b')
    truncateSync(at(), statSync(at()).size - 1)
    expect(await stateOf(await start(), 'b')).toBe('InDoubt')
  })

  it('has lines of an editor is read', async () => {
    await begun('a', 'b')
    await writeFile(at(), (await readFile(at(), 'utf8')).replaceAll('\n', '\r\n\r\n'))
    const journal = await start()
    expect([await stateOf(journal, 'a'), await stateOf(journal, 'b')]).toStrictEqual(['InDoubt', 'InDoubt'])
  })

  it('is longer than one read is read whole, letters of several bytes too', async () => {
    const journal = await start()
    const keys = Array.from({ length: 2_000 }, (_, index) => `€${'ü'.repeat(index % 50)}${index}`)
    await Promise.all(keys.map((key) => done(journal.ended(key, 'Solved'))))
    const next = await startAfterDeath()
    const states = await Promise.all(keys.map((key) => stateOf(next, key)))
    expect(states.filter((state) => state === 'Finished')).toHaveLength(2_000)
  })

  /** Opening it is refused; the file stays as it is, and no lock stays behind. */
  const refused = async (text: string, says: RegExp) => {
    await writeFile(at(), text)
    const error: unknown = await start().catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(JournalError)
    expect(String(error)).toMatch(says)
    expect(readFileSync(at(), 'utf8')).toBe(text)
    expect(readdirSync(dirname(at()))).toStrictEqual(['batch.journal'])
  }

  const header = '{"journal":"rx-captcha","version":1,"openedAt":"2026-01-01T00:00:00.000Z","pid":1,"place":"here"}\n'
  const line = (key: string) => `{"at":"2026-01-01T00:00:00.000Z","key":"${key}","begun":true}\n`

  const damages: ReadonlyArray<readonly [string, string]> = [
    ['is cut', '{"at":"2026-01\n'],
    ['is no JSON', 'begun\n'],
    ['is of nulls', '\0\0\0\n'],
    ['has no key', '{"at":"2026-01-01T00:00:00.000Z","begun":true}\n'],
    ['says nothing', '{"at":"2026-01-01T00:00:00.000Z","key":"x"}\n'],
    ['has an id that is none', '{"at":"2026-01-01T00:00:00.000Z","key":"x","taskId":7,"createdAt":1}\n']
  ]
  it.each(damages)('has a line in the middle that %s is refused, with its number', async (_, damage) => {
    await refused(header + line('a') + damage + line('b'), /line 3 cannot be read. It was left as it is. Correct/)
  })

  const foreign: ReadonlyArray<readonly [string, string]> = [
    ['is empty', ''],
    ['is a text', 'websiteURL,websiteKey\n'],
    ['is other JSON', '{"journal":"of somebody"}\n{}\n'],
    ['is one long line', 'x'.repeat(200_000)],
    ['begins in the middle of ours', line('a')]
  ]
  it.each(foreign)('%s is refused as foreign', async (_, text) => {
    await refused(text, /no journal of rx-captcha. It was left as it is: use another path/)
  })

  it('is of a later version is refused', async () => {
    await refused(header.replace('1', '2') + line('a'), /Use the version of rx-captcha that wrote it/)
  })
})

describe('a place', () => {
  it('in a folder that does not exist is refused', async () => {
    await expect(start(at('no/batch.journal'))).rejects.toThrow(
      /cannot be locked \(ENOENT\). Its folder does not exist/
    )
  })

  it('that is a folder is refused', async () => {
    mkdirSync(at('folder'))
    await expect(start(at('folder'))).rejects.toThrow(/is there, but no plain file/)
  })

  it('below a file is refused', async () => {
    await writeFile(at('file'), '')
    await expect(start(at('file/batch.journal'))).rejects.toThrow(/\(ENOTDIR\). A part of the path is not a folder/)
  })

  it('that is a device is refused', async () => {
    await expect(start('/dev/full')).rejects.toThrow(JournalError)
  })

  it('where the new file cannot be written is refused, and what was there stays', async () => {
    await (await start()).close()
    const text = readFileSync(at(), 'utf8')
    mkdirSync(at('batch.journal.tmp'))
    await expect(start()).rejects.toThrow(/cannot be written/)
    expect(readFileSync(at(), 'utf8')).toBe(text)
  })
})

describe('the pen', () => {
  const failing = new JournalError('x', 'is an example', '')
  const pens: FileHandle[] = []
  afterEach(() => Promise.all(pens.splice(0).map((handle) => handle.close())))

  const penOn = async (path: string, isOurs = () => true) => {
    const handle = await open(path, 'a')
    pens.push(handle)
    const pen = new AppendLog(path, handle, isOurs)
    const write = (text: string) =>
      new Promise<JournalError | undefined>((resolve) => {
        pen.write(text, resolve)
      })
    return { handle, pen, write }
  }

  it('answers only when the text is on the disk', async () => {
    const { handle, write } = await penOn(at('text'))
    let sync: (() => void) | undefined
    jest.spyOn(handle, 'datasync').mockImplementation(() => new Promise<void>((resolve) => (sync = resolve)))
    let answer: unknown = failing
    void write('a\n').then((error) => (answer = error))
    await until(() => sync !== undefined)
    expect([answer, readFileSync(at('text'), 'utf8')]).toStrictEqual([failing, 'a\n'])
    sync?.()
    await until(() => answer === undefined)
  })

  it('shares one write among all that wait', async () => {
    const { handle, write } = await penOn(at('text'))
    const [writing, syncing] = [jest.spyOn(handle, 'appendFile'), jest.spyOn(handle, 'datasync')]
    const first = write('first\n')
    await until(() => writing.mock.calls.length === 1)
    await Promise.all([first, ...Array.from({ length: 1_000 }, (_, index) => write(`${index}\n`))])
    expect([writing.mock.calls.length, syncing.mock.calls.length]).toStrictEqual([2, 2])
    expect(readFileSync(at('text'), 'utf8').split('\n').slice(0, 3)).toStrictEqual(['first', '0', '1'])
  })

  const withFullDisk = process.platform === 'linux' ? it : it.skip
  withFullDisk('errors from a full disk on, what waited and what comes later', async () => {
    const { pen, write } = await penOn('/dev/full')
    const errors = await Promise.all([write('a\n'), write('b\n')])
    errors.push(await write('c\n'), await new Promise((resolve) => pen.settled(resolve)))
    const message =
      'The journal /dev/full cannot be written any more (ENOSPC). The disk is full: make room, then start again.'
    expect(errors.map((error) => error?.message)).toStrictEqual([message, message, message, message])
    expect(errors[0]?.cause?.code).toBe('ENOSPC')
  })

  it('does not try again after a write failed', async () => {
    const { handle, write } = await penOn(at('text'))
    jest.spyOn(handle, 'datasync').mockRejectedValueOnce(Object.assign(new Error('i/o error'), { code: 'EIO' }))
    expect((await write('a\n'))?.message).toMatch(/\(EIO\). Mend that, then start again/)
    expect((await write('b\n'))?.message).toMatch(/\(EIO\)/)
    expect(readFileSync(at('text'), 'utf8')).toBe('a\n')
  })

  it('errors once the lock is lost', async () => {
    const { write } = await penOn(at('text'), () => false)
    expect((await write('a\n'))?.message).toMatch(/its lock was removed/)
  })

  it('errors once another file stands in its place', async () => {
    const journal = await start()
    await writeFile(at('other'), '')
    await rename(at('other'), at())
    await expect(done(journal.begin('k'))).rejects.toThrow(/another process took it over/)
  })
})
