import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import * as E from 'fp-ts/lib/Either.js'
import { lastValueFrom } from 'rxjs'
import { fileJournal } from 'rx-captcha/journal'
import { recaptchaV2, type SolveError } from 'rx-captcha'
import { linesIn } from '../../support/batch.js'
import { linesOf, openOutputFile } from '../../../lib/cli/batch/output.js'
import type { KeyedItem } from '../../../lib/cli/input/item.js'

const folder = mkdtempSync(join(tmpdir(), 'batch-output-'))
afterAll(() => {
  rmSync(folder, { recursive: true })
})

let files = 0
const fileWith = (text: string): string => {
  const path = join(folder, String((files += 1)))
  writeFileSync(path, text)
  return path
}

const item: KeyedItem = {
  index: 0,
  key: 'a',
  line: 1,
  isBad: false,
  content: 'a',
  task: recaptchaV2({ websiteURL: 'https://example.com', websiteKey: 'k' })
}
const SERVICE = { flags: [], isEmbedded: false }
const ref = { taskId: 'task-1', createdAt: 1_700_000_000_000 }
const solved = E.right({ ref, solution: { gRecaptchaResponse: 'token' }, readyAt: 1 })

const line = (document: object): string => `${JSON.stringify({ index: 0, ...document })}\n`
const failed = (key: string, error: object): string => line({ key, ok: false, error, message: '' })

describe('the output file of a batch', () => {
  it('refuses every line after one that could not be written', async () => {
    const path = fileWith('')
    const output = await openOutputFile(path, undefined, SERVICE)
    await output.close() // the next write meets a closed file

    await expect(output.write(item, solved)).rejects.toThrow(
      'the output cannot be written (EBADF: bad file descriptor)'
    )
    await expect(output.write(item, solved)).rejects.toThrow('the output cannot be written')
    expect(readFileSync(path, 'utf8')).toBe('')
  })

  it('fails at a line that is written after the file was deleted, because nobody could read it', async () => {
    const path = fileWith('')
    const output = await openOutputFile(path, undefined, SERVICE)
    await output.write(item, solved)
    rmSync(path)

    await expect(output.write(item, solved)).rejects.toThrow('the output cannot be written (it was deleted)')
    await output.close()
  })

  it('has every line on the disk that it has confirmed, in the order of the calls', async () => {
    const path = fileWith('')
    const output = await openOutputFile(path, undefined, SERVICE)
    await Promise.all([1, 2, 3].map((index) => output.write({ ...item, index }, solved)))
    await output.close()

    expect(readFileSync(path, 'utf8').match(/"index":\d/g)).toStrictEqual(['"index":1', '"index":2', '"index":3'])
  })

  /** The entry of each key in a new journal, after an output with these lines was opened. */
  const entriesAfter = async (text: string, keys: ReadonlyArray<string>) => {
    const journal = await fileJournal(join(folder, `${(files += 1)}.journal`))
    const output = await openOutputFile(fileWith(text), journal, SERVICE)
    const entries = await Promise.all(keys.map((key) => lastValueFrom(journal.find(key))))
    await output.close()
    await journal.close()
    return entries.map((entry) =>
      entry._tag === 'Known' ? entry.ref.taskId : entry._tag === 'Finished' ? entry.tag : entry._tag
    )
  }

  it('passes to the journal what its lines say', async () => {
    const text = [
      line({ key: 'solved', ok: true, taskId: 'task-0' }),
      line({ id: 7, ok: true, taskId: 'task-7' }),
      failed('failed', { _tag: 'TaskFailed', paid: 'yes', kind: 'task', ref }),
      failed('open', { _tag: 'TimedOut', paid: 'yes', ref }),
      failed('open without a reference', { _tag: 'TimedOut', paid: 'yes' }),
      failed('in doubt', { _tag: 'CreateUnknown', paid: 'unknown' }),
      failed('unpaid', { _tag: 'Refused', paid: 'no', kind: 'request' }),
      line({ ok: true, taskId: 'without a key' })
    ].join('')
    const keys = ['solved', '7', 'failed', 'open', 'open without a reference', 'in doubt', 'unpaid']

    expect(await entriesAfter(text, keys)).toStrictEqual([
      ...['Solved', 'Solved', 'TaskFailed', 'task-1', 'Fresh', 'InDoubt', 'Fresh']
    ])
  })

  const solvedLine = { ok: true, taskId: 'task-2' }
  const failedLine = { ok: false, error: { _tag: 'TaskFailed', paid: 'yes', kind: 'task', ref } }
  const openLine = { ok: false, error: { _tag: 'TimedOut', paid: 'yes', ref } }
  const laterLine = { ok: false, error: { _tag: 'TimedOut', paid: 'yes', ref: { ...ref, taskId: 'task-2' } } }
  const doubtfulLine = { ok: false, error: { _tag: 'CreateUnknown', paid: 'unknown' } }
  const jobLine = { ok: false, error: { _tag: 'JobFailed', paid: 'yes', reason: '', ref } }
  const refusedLine = { ok: false, error: { _tag: 'Refused', paid: 'no', kind: 'request' } }
  it.each([
    ['a failure, and then a token', failedLine, solvedLine, 'Solved'],
    ['a failure, and then a task', failedLine, laterLine, 'task-2'],
    ['a failure, and then a doubt', failedLine, doubtfulLine, 'InDoubt'],
    ['a task, and then its token', openLine, solvedLine, 'Solved'],
    ['a task, and then another one', openLine, laterLine, 'task-2'],
    ['a task, and then a job that failed', openLine, jobLine, 'task-1'],
    ['a task, and then a refusal, which concerns no task', openLine, refusedLine, 'task-1']
  ])('passes to a new journal the last thing that its lines say about a task: %s', async (_, before, after, entry) => {
    const text = line({ key: 'a', ...before }) + line({ key: 'a', ...after })

    expect(await entriesAfter(text, ['a'])).toStrictEqual([entry])
  })

  it('passes thousands of lines to the journal', async () => {
    const keys = Array.from({ length: 2_500 }, (_, nth) => `key-${nth}`)
    const text = keys.map((key) => line({ key, ok: true, taskId: key })).join('')

    expect(new Set(await entriesAfter(text, keys))).toStrictEqual(new Set(['Solved']))
  })

  it('takes U+2028 and U+2029, which are allowed in JSON, as a part of their line', async () => {
    const text = line({ id: 'a\u2028', ok: true, taskId: 'x' }) + line({ id: 'b\u2029', ok: true, taskId: 'x' })

    expect(await entriesAfter(text, ['a\u2028', 'b\u2029'])).toStrictEqual(['Solved', 'Solved'])
  })

  it.each([1, 2, 5, 100])('splits at \\n and nowhere else, with chunks of %d characters', async (size) => {
    const lines = ['one\u2028', '', 'two\u2029\r\u0085\v\f', 'half a line']
    const chunks = Readable.from(lines.join('\n').match(new RegExp(`[^]{1,${size}}`, 'g')) ?? [])

    expect(await Readable.from(linesOf(chunks)).toArray()).toStrictEqual(lines)
  })

  it('writes no second line for a key that stays in doubt, and one for a key that was in doubt', async () => {
    const error: SolveError = { _tag: 'CreateUnknown', paid: 'unknown' }
    const inDoubt = E.left(error)
    const path = fileWith(failed('a', error) + failed('b', error) + line({ key: 'b', ok: true, taskId: 'x' }))
    const output = await openOutputFile(path, undefined, SERVICE)
    await output.write({ ...item, key: 'a' }, inDoubt)
    await output.write({ ...item, key: 'b' }, inDoubt)
    await output.close()

    const keys = readFileSync(path, 'utf8').match(/"key":"\w+"/g)
    expect(keys).toStrictEqual(['"key":"a"', '"key":"b"', '"key":"b"', '"key":"b"'])
  })

  it('writes no second line for a key that stays invalid, and one if it becomes invalid or in doubt', async () => {
    const invalid: SolveError = { _tag: 'InvalidTask', paid: 'no', problems: ['expected JSON'] }
    const inDoubt: SolveError = { _tag: 'CreateUnknown', paid: 'unknown' }
    const path = fileWith(failed('a', invalid) + failed('b', { _tag: 'Refused', paid: 'no', kind: 'request' }))
    const output = await openOutputFile(path, undefined, SERVICE)
    for (const key of ['a', 'b']) await output.write({ ...item, key }, E.left(invalid))
    await output.write({ ...item, key: 'a' }, E.left(inDoubt))
    await output.close()

    const ends = readFileSync(path, 'utf8').match(/"key":"\w+"|"_tag":"\w+"/g)
    expect(ends?.join(' ').replaceAll(/"key":|"_tag":|"/g, '')).toBe(
      'a InvalidTask b Refused b InvalidTask a CreateUnknown'
    )
  })

  it('writes another line for a key that has another mistake', async () => {
    const invalid = (...problems: ReadonlyArray<string>): SolveError => ({ _tag: 'InvalidTask', paid: 'no', problems })
    const path = fileWith(failed('a', invalid('one')) + failed('a', invalid('one', 'two')))
    const output = await openOutputFile(path, undefined, SERVICE)
    for (const problems of [['one', 'two'], ['one']]) await output.write(item, E.left(invalid(...problems)))
    await output.close()

    expect(linesIn(readFileSync(path, 'utf8')).map(({ error }) => error?.problems?.length)).toStrictEqual([1, 2, 1])
  })

  it.each([
    ['half a line', '{"index":0,"ok":tr'],
    ['half the beginning of a line', '{"ind']
  ])('loses %s at its end', async (_, rest) => {
    const whole = line({ key: 'a', ok: true, taskId: 'x' })
    const path = fileWith(whole + rest)
    const output = await openOutputFile(path, undefined, SERVICE)
    await output.close()

    expect(readFileSync(path, 'utf8')).toBe(whole)
  })
})
