import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { EMULATOR_KEY } from 'rx-captcha/emulator'
import { batch, linesIn, ndjson, pages, task, testFiles } from '../../support/batch.js'
import { emulators } from '../../support/raw-http.js'

const start = emulators()
const { file } = testFiles()

describe('the input of a batch', () => {
  it('is CSV if its name says so', async () => {
    const emulator = await start()
    const input = file(
      '.csv',
      'websiteKey,websiteURL,id,isInvisible\r\nk,"https://example.com/a,b",7,TRUE\r\n\r\nk,https://example.com/c,,\r\n'
    )
    const { code, lines } = await batch(emulator, [input, '--concurrency', '1'])
    expect([code, lines.map(({ id }) => id)]).toStrictEqual([0, ['7', undefined]])
    expect(emulator.tasks().map(({ task: sent }) => sent)).toStrictEqual([
      { type: 'RecaptchaV2TaskProxyless', websiteURL: 'https://example.com/a,b', websiteKey: 'k', isInvisible: true },
      { type: 'RecaptchaV2TaskProxyless', websiteURL: 'https://example.com/c', websiteKey: 'k' }
    ])
  })

  it.each([
    ['NDJSON', ndjson(task(1))],
    ['NDJSON with a byte order mark', `\uFEFF${ndjson(task(1))}`],
    ['NDJSON without a last newline', ndjson(task(1)).trim()],
    ['CSV', 'websiteURL,websiteKey\nhttps://example.com/1,k\n']
  ])('is read from stdin as %s, by its first line', async (_, text) => {
    const emulator = await start()
    const { code } = await batch(emulator, ['-'], { stdin: Readable.from([Buffer.from(text)]) })
    expect([code, pages(emulator)]).toStrictEqual([0, ['https://example.com/1']])
  })

  it('is read from a pipe, whose length is unknown', async () => {
    const emulator = await start()
    const pipe = file('.pipe')
    execFileSync('mkfifo', [pipe])
    const running = batch(emulator, [pipe])
    await writeFile(pipe, ndjson(task(1)))
    expect((await running).lines).toMatchObject([{ index: 0, ok: true }])
  })

  it('has the format of --format, whatever its name', async () => {
    const input = file('.csv', ndjson(task(1)))
    expect((await batch(await start(), [input, '--format', 'ndjson'])).code).toBe(0)
  })

  it('may have bad lines, which are reported by their number and stop nothing', async () => {
    const emulator = await start()
    const input = file(
      '.ndjson',
      ndjson(
        'not json',
        '',
        '[1]',
        task(4, { websiteKey: 7 }),
        task(5, { websiteURL: 'example.com' }),
        task(6, { websiteKey: EMULATOR_KEY }),
        'x'.repeat(70_000),
        task(8)
      )
    )
    const { code, lines, out, err } = await batch(emulator, [input])
    expect(code).toBe(1)
    expect(lines.map(({ line, error }) => [line, error?.problems?.[0]])).toStrictEqual([
      [1, 'expected JSON'],
      [3, 'the value: expected { websiteURL: string, websiteKey: string }'],
      [4, 'websiteKey: expected string'],
      [5, 'websiteURL: expected an address that begins with http:// or https://'],
      [6, expect.stringContaining('websiteKey: this is the client key')],
      [7, 'this is too long for a task'],
      [undefined, undefined]
    ])
    expect(pages(emulator)).toStrictEqual(['https://example.com/8'])
    expect(err).toContain('        6  InvalidTask                           lines 1, 3, 4, 5, 6, …')
    expect(out).not.toContain(EMULATOR_KEY)
  })

  it('as CSV is read up to a quote that is never closed, whose line is reported', async () => {
    const emulator = await start()
    const input = file(
      '.csv',
      'websiteURL,websiteKey\nhttps://example.com/1,k\n"https://example.com/2,k\nhttps://example.com/3,k\n'
    )
    const { code, err } = await batch(emulator, [input])
    expect(pages(emulator)).toStrictEqual(['https://example.com/1'])
    expect(err).toContain('the input, after line 2: a quote is never closed; nothing after that line was read\n')
    expect(code).toBe(1)
  })

  it('as CSV keeps a misplaced quote as text', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey\nhttps://example.com/a"b,k"k\nhttps://example.com/2,"k"\n')
    await batch(emulator, [input, '--concurrency', '1'])
    expect(emulator.tasks().map(({ task: sent }) => [sent.websiteURL, sent.websiteKey])).toStrictEqual([
      ['https://example.com/a"b', 'k"k'],
      ['https://example.com/2', 'k']
    ])
  })

  it.each([
    ['more cells than columns', 'https://example.com/a,b,k,1', 'found 4; a cell that contains a comma needs quotes'],
    ['fewer cells than columns', 'https://example.com/a,k', 'found 2']
  ])('as CSV reports a record with %s, and creates no task for it', async (_, record, why) => {
    const emulator = await start()
    const input = file('.csv', `websiteURL,websiteKey,id\n${record}\nhttps://example.com/2,k,\n`)
    const { code, lines } = await batch(emulator, [input])
    expect(lines).toMatchObject([
      { line: 2, error: { problems: [`expected one cell per column (3), ${why}`] } },
      { index: 1, ok: true }
    ])
    expect([code, pages(emulator)]).toStrictEqual([1, ['https://example.com/2']])
  })

  it('as CSV reports a record with a cell in a column without a name, and creates no task for it', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey,\nhttps://example.com/a,b,k\nhttps://example.com/2,k,\n')
    const { code, lines } = await batch(emulator, [input])
    expect(lines[0]?.error?.problems).toStrictEqual([
      'expected no cell in a column without a name; a cell that contains a comma needs quotes'
    ])
    expect([code, pages(emulator)]).toStrictEqual([1, ['https://example.com/2']])
  })

  it.each([
    ['a cell', 'x'.repeat(70_000)],
    ['a quote that is closed too late', `"https://a.b/${'\nhttps://a.b/,k'.repeat(7_000)}"`]
  ])('as CSV is refused from a record that is too long for a task, for %s', async (_, cell) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.csv', `websiteURL,websiteKey\n${cell},k\n`)])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain('after line 1: a record is longer than 65536 characters, perhaps because a quote is never')
  })

  it('as CSV may have records of several lines', async () => {
    const emulator = await start()
    const input = file('.csv', 'websiteURL,websiteKey,id\nhttps://example.com/1,k,"a\nb"\nhttps://example.com/2,k,\n')
    const { lines } = await batch(emulator, [input])
    expect(lines.map(({ id }) => id)).toStrictEqual(['a\nb', undefined])
  })

  it('of 1,000 bad lines creates no task', async () => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.ndjson', 'bad\n'.repeat(1_000)), '--out', file('.out')])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([1, 0])
    expect(err).toMatch(/^1,000 items in /)
  })

  it.each([
    [
      'a file that is not there',
      ['nowhere.ndjson'],
      'nowhere.ndjson: the file cannot be read (ENOENT: no such file or directory)'
    ],
    ['a folder', ['.'], 'this is a folder; expected a file'],
    ['a JSON array', [file('.json', '[{}]')], 'this looks like a JSON array; expected one JSON object per line'],
    ['CSV without its columns', [file('.csv', 'url,key\n')], 'has no columns websiteURL and websiteKey'],
    ['an unknown format', ['-', '--format', 'xml'], "argument 'xml' is invalid. Allowed choices are ndjson, csv."],
    ['no active task', ['-', '--concurrency', '0'], "'--concurrency <n>' argument '0' is invalid. Expected a whole"],
    ['a rate that is no number', ['-', '--creates-per-second', '1e3'], 'Expected a number from 0.001 to 1000'],
    ['a rate of nothing', ['-', '--creates-per-second', '0'], 'Expected a number from 0.001 to 1000'],
    ['a rate out of bounds', ['-', '--creates-per-second', '1000.5'], 'Expected a number from 0.001 to 1000']
  ])('is refused as %s, before anything is paid', async (_, argv, why) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, argv)
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain(`error: `)
    expect(err).toContain(why)
  })

  it('is refused as a folder from stdin, of which Node makes an empty stream', async () => {
    const fd = openSync('.', 'r')
    const { code, err } = await batch(await start(), ['-'], { stdin: Object.assign(Readable.from([]), { fd }) })
    closeSync(fd)
    expect([code, err]).toStrictEqual([2, 'error: stdin: this is a folder; expected a file\n'])
  })
})

describe('the text of an input', () => {
  const solvedPages = async (ending: string, text: string | Buffer) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file(ending, text), '--concurrency', '1'])
    return { code, err, pages: pages(emulator) }
  }
  const CSV = 'websiteURL,websiteKey\nhttps://example.com/ä,k\n'
  const JSONL = ndjson(task(1, { websiteURL: 'https://example.com/ä' }))
  const BOM = '\uFEFF'
  const le = (text: string) => Buffer.from(text, 'utf16le')
  const be = (text: string) => le(text).swap16()

  it.each([
    ['UTF-8 with a byte order mark', '.csv', BOM + CSV],
    ['UTF-8 with a byte order mark before each of two joined files', '.ndjson', BOM + BOM + JSONL],
    ['UTF-16 LE with a byte order mark', '.csv', le(BOM + CSV)],
    ['UTF-16 BE with a byte order mark', '.csv', be(BOM + CSV)],
    ['UTF-16 LE without a byte order mark', '.csv', le(CSV)],
    ['UTF-16 BE without a byte order mark', '.csv', be(CSV)],
    ['UTF-16 LE with a byte order mark', '.ndjson', le(BOM + JSONL)],
    ['UTF-16 BE without a byte order mark', '.ndjson', be(JSONL)],
    ['UTF-16 LE in an unnamed format', '.txt', le(BOM + JSONL)]
  ])('is read as %s (%s)', async (_, ending, text) => {
    expect(await solvedPages(ending, text)).toMatchObject({ code: 0, pages: ['https://example.com/ä'] })
  })

  it('is decoded whatever the size of its chunks', async () => {
    const emulator = await start()
    const bytes = Array.from(le(BOM + JSONL + JSONL), (byte) => Buffer.from([byte]))
    expect((await batch(emulator, ['-'], { stdin: Readable.from(bytes) })).code).toBe(0)
    expect(pages(emulator)).toStrictEqual(['https://example.com/ä', 'https://example.com/ä'])
  })

  it.each([
    ['three bytes', '{}\n', 'websiteURL: expected string'],
    ['a text in another encoding', Buffer.from(JSONL, 'latin1'), 'expected text in UTF-8 or UTF-16'],
    ['NUL bytes after the last line', `\0\0\0\0\0`, 'expected JSON'],
    ['a NUL byte in an address', ndjson(task(1, { websiteURL: 'https://a.b/\0' })), 'no control characters']
  ])('is reported by its line if it is %s', async (_, text, why) => {
    const emulator = await start()
    const { code, out } = await batch(emulator, [file('.ndjson', text)])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([1, 0])
    expect(out).toMatch(/^\{"index":0,"line":1,/)
    expect(out).toContain(why)
  })

  it('is reported by its line where a CSV has bytes of another encoding, or NUL bytes at its end', async () => {
    const emulator = await start()
    const text = Buffer.concat([Buffer.from(CSV), Buffer.from('https://example.com/\xe4,k\n\0\0\0', 'latin1')])
    const { code, lines } = await batch(emulator, [file('.csv', text)])
    expect([code, pages(emulator)]).toStrictEqual([1, ['https://example.com/ä']])
    expect(lines.flatMap(({ line, error }) => (error ? [line, error.problems?.[0]] : []))).toStrictEqual([
      ...[3, 'expected text in UTF-8 or UTF-16'],
      ...[4, 'expected one cell per column (2), found 1']
    ])
  })

  it.each([
    ['CR', '\r'],
    ['LF', '\n'],
    ['CRLF', '\r\n']
  ])('may have lines that end in %s, and empty ones', async (_, end) => {
    const lines = ['', ' ', '{"websiteURL":"https://a.b/1","websiteKey":"k"}', '', 'x', '\u200b', '']
    const emulator = await start()
    const { lines: outcomes, err } = await batch(emulator, [file('.ndjson', lines.join(end))])
    expect(outcomes).toMatchObject([{ ok: true }, { line: 5 }])
    expect(err).toMatch(/^2 items in /)
  })

  it('as CSV may have any mix of line ends, also in its cells, and reports the right lines', async () => {
    const emulator = await start()
    const text =
      'websiteURL,websiteKey,id\r\n\r\rx,,\r\nhttps://a.b/1,k,"1\r\n2"\n,,\nhttps://a.b/2,k,\rz,,"a\r\nb\rc"\ny,,'
    const { lines } = await batch(emulator, [file('.csv', text), '--concurrency', '1'])
    expect(lines.map(({ line, id }) => line ?? id)).toStrictEqual([4, '1\r\n2', undefined, 9, 12])
    expect(pages(emulator)).toStrictEqual(['https://a.b/1', 'https://a.b/2'])
  })

  it.each([
    ['a zero-width space', '\u200b'],
    ['a non-breaking space', '\u00a0'],
    ['a byte order mark', '\ufeff'],
    ['a soft hyphen', '\u00ad'],
    ['blanks and a tab', ' \t ']
  ])('may have %s around the address and the key, which is left out', async (_, unseen) => {
    const emulator = await start()
    const around = (text: string) => unseen + text + unseen
    await batch(emulator, [
      file('.ndjson', ndjson({ websiteURL: around('https://example.com/1'), websiteKey: around('key') }))
    ])
    await batch(emulator, [
      file(
        '.csv',
        `${around('websiteURL')},${around('websiteKey')}\n"${around('https://example.com/2')}","${around('key')}"\n`
      )
    ])
    expect(emulator.tasks().map(({ task: sent }) => [sent.websiteURL, sent.websiteKey])).toStrictEqual([
      ['https://example.com/1', 'key'],
      ['https://example.com/2', 'key']
    ])
  })

  it.each(['\u200b', '\u00a0', ' ', '\0', '\n'])(
    'is refused with %j in a key, and no task is created',
    async (unseen) => {
      const emulator = await start()
      const { lines } = await batch(emulator, [file('.ndjson', ndjson(task(1, { websiteKey: `a${unseen}b` })))])
      expect(lines[0]?.error?.problems).toStrictEqual([
        'websiteKey: expected no white space and no invisible characters'
      ])
      expect(emulator.counters().requests.createTask).toBe(0)
    }
  )

  it('may be one record without a line end', async () => {
    expect(await solvedPages('.ndjson', JSON.stringify(task(1)))).toMatchObject({ code: 0 })
    expect(await solvedPages('.csv', 'websiteURL,websiteKey\rhttps://a.b/,k')).toMatchObject({ code: 0 })
  })
})

describe('an id of an input', () => {
  const ids = [
    '9007199254740993',
    '123456789012345678901234567890',
    '-0',
    '1.0',
    '1e400',
    '"007"',
    '"9007199254740993"'
  ]

  it.each(ids)('comes out as it went in: %s', async (id) => {
    const emulator = await start()
    const input = file(
      '.ndjson',
      `{"x":{"id":[1]},"id":${id},"websiteURL":"https://a.b/","websiteKey":"k","note":"\\"id\\": 5"}`
    )
    const { out } = await batch(emulator, [input])
    expect(out).toContain(`{"index":0,"id":${id},"ok":true,`)
  })

  it.each([
    ['a field of another type', '.ndjson', '{"id":7,"websiteURL":"https://a.b/","websiteKey":1}', '7'],
    ['the client key', '.ndjson', ndjson(task(1, { id: 'a', websiteKey: EMULATOR_KEY })), '"a"'],
    ['a name that almost is a field', '.ndjson', '{"id":"a","websiteUrl":"https://a.b/","websiteKey":"k"}', '"a"'],
    ['a wrong flag', '.csv', 'id,websiteURL,websiteKey,isInvisible\n7,https://a.b/,k,yes', '"7"'],
    ['an address that is none', '.csv', 'id,websiteURL,websiteKey\n7,a.b,k', '"7"']
  ])('comes out with a bad record, and is its key: %s', async (_, ending, text, id) => {
    const emulator = await start()
    const out = file('.out')
    await batch(emulator, [file(ending, text), '--out', out])
    const lines = readFileSync(out, 'utf8')
    expect(lines).toMatch(new RegExp(`^\\{"index":0,"id":${id},"line":\\d,"ok":false,.*\n$`))
    await batch(emulator, [file('.ndjson', `{"id":${id},"websiteURL":"https://a.b/","websiteKey":"k"}`), '--out', out])
    expect(readFileSync(out, 'utf8').slice(lines.length)).toContain(`{"index":0,"id":${id},"ok":true,`)
  })

  it.each([
    ['is no JSON', '.ndjson', '{"id":7'],
    ['has its id in a cell that may be another', '.csv', 'id,websiteURL,websiteKey\n7,https://a.b/,c,k'],
    ['has no text or number as its id', '.ndjson', ndjson(task(1, { id: [7] }))]
  ])('is not read from a record that %s', async (_, ending, text) => {
    const { lines } = await batch(await start(), [file(ending, text)])
    expect(lines).toMatchObject([{ ok: false, error: { _tag: 'InvalidTask' } }])
    expect(lines[0]).not.toHaveProperty('id')
  })

  describe('that was used before', () => {
    const used = 'id: it was used before for another task'
    const rows = (...cells: ReadonlyArray<string>) => file('.csv', ['id,websiteURL,websiteKey', ...cells].join('\n'))

    it('makes another task a bad record, which the output names, once in all runs', async () => {
      const emulator = await start()
      const [first, second, third] = ['7,https://a.b/1,k', '7,https://a.b/2,k', ',https://a.b/2,k'] as const
      const out = file('.out')
      const { code, err } = await batch(emulator, [rows(first, second, third), '--out', out, '--concurrency', '1'])
      expect([code, pages(emulator)]).toStrictEqual([1, ['https://a.b/1', 'https://a.b/2']])
      expect(err).toContain(`\nLine 3: The task is invalid: ${used}.`)
      expect((await batch(emulator, [rows(third, first, second), '--out', out])).code).toBe(1)
      expect(linesIn(readFileSync(out, 'utf8'))).toMatchObject([
        { index: 0, id: '7', ok: true },
        { index: 1, id: '7', line: 3, ok: false, error: { _tag: 'InvalidTask', problems: [used] } },
        { index: 2, ok: true }
      ])
    })

    it('leaves the item of the same task out, which is counted', async () => {
      const input = rows('7,https://a.b/1,k', '7, https://a.b/1,k')
      const { code, err } = await batch(await start(), [input, '--out', file('.out')])
      expect([code, err]).toStrictEqual([0, expect.stringContaining('1 solved, 0 failed, 1 repeated id.')])
    })

    it('makes a bad record no better', async () => {
      const input = rows('7,https://a.b/1,k', '7,a.b,k')
      const [, line] = (await batch(await start(), [input, '--journal', file('.journal')])).lines
      expect(line?.error?.problems).toStrictEqual([expect.stringMatching(/^websiteURL: /), used])
    })
  })

  it('is a number although its name is written with an escape', async () => {
    const { out } = await batch(await start(), [
      file('.ndjson', '{"\\u0069d":7,"websiteURL":"https://a.b/","websiteKey":"k"}')
    ])
    expect(out).toContain('{"index":0,"id":7,')
  })

  it('is distinguished from another id beyond 2^53 that is the same number, in this run and from the output', async () => {
    const emulator = await start()
    const line = (id: string) => `{"id":${id},"websiteURL":"https://a.b/${id}","websiteKey":"k"}\n`
    const out = file('.out')
    const run = (...given: ReadonlyArray<string>) => {
      rmSync(`${out}.journal`, { force: true })
      return batch(emulator, [file('.ndjson', given.map(line).join('')), '--out', out])
    }
    expect((await run('9007199254740992', '9007199254740993')).err).toContain('2 solved')
    expect((await run('9007199254740993', '9007199254740994')).err).toContain('1 solved, 0 failed, 1 done before')
  })
})

describe('the fields of an input', () => {
  it('may be in another order and case in a CSV', async () => {
    const emulator = await start()
    const { code, lines } = await batch(emulator, [
      file('.csv', 'ID,ISINVISIBLE,note,websitekey,WebsiteUrl\n7,1,x,k,https://a.b/\n')
    ])
    expect([code, lines[0]?.id]).toStrictEqual([0, '7'])
    expect(emulator.tasks()[0]?.task).toMatchObject({ websiteURL: 'https://a.b/', websiteKey: 'k', isInvisible: true })
  })

  it.each([
    ['semicolons', 'websiteURL;websiteKey\nhttps://a.b/;k\n', 'are separated by semicolons, expected commas'],
    ['quoted semicolons', '"websiteURL";"websiteKey"\n', 'are separated by semicolons, expected commas'],
    ['tabs', 'websiteURL\twebsiteKey\n', 'are separated by tabs, expected commas'],
    ['two columns of one name', 'websiteURL,websiteKey,WEBSITEKEY\n', 'its header has the column websiteKey twice'],
    ['no header', 'https://a.b/,k\n', 'has no columns websiteURL and websiteKey; expected a header such as websiteURL,']
  ])('are refused in a CSV with %s, before anything is paid', async (_, text, why) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.csv', text)])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toContain(why)
  })

  it.each([
    ['website_url,websiteKey', 'website_url (did you mean websiteURL?)'],
    ['Website URL,Site Key', 'Website URL (did you mean websiteURL?)'],
    ['websiteURL,sitekey', 'sitekey (did you mean websiteKey?)'],
    ['websiteURL,websiteKey,invisible', 'invisible (did you mean isInvisible?)']
  ])('are refused in a CSV if a column almost is one: %s', async (header, hint) => {
    const emulator = await start()
    const { code, err } = await batch(emulator, [file('.csv', `${header}\nhttps://a.b/,k,1\n`)])
    expect([code, emulator.counters().requests.createTask]).toStrictEqual([2, 0])
    expect(err).toBe(`error: the input: its header has an unknown column ${hint}\n`)
  })

  it.each([
    [{ websiteUrl: 'https://a.b/', websiteKey: 'k' }, 'websiteUrl (did you mean websiteURL?)'],
    [task(1, { isinvisible: true }), 'isinvisible (did you mean isInvisible?)']
  ])('are refused in a record if a name almost is one: %j', async (record, hint) => {
    const { code, lines } = await batch(await start(), [file('.ndjson', ndjson(record))])
    expect([code, lines[0]?.error?.problems]).toStrictEqual([1, [hint]])
  })

  it.each(['ip', 'uid', 'url', 'note', ''])('may stand next to other columns, such as "%s"', async (name) => {
    const emulator = await start()
    expect((await batch(emulator, [file('.csv', `websiteURL,websiteKey,${name}\nhttps://a.b/,k,\n`)])).code).toBe(0)
    expect((await batch(emulator, [file('.ndjson', ndjson(task(1, { [name]: 1 })))])).code).toBe(0)
  })

  it.each([
    ['.csv', 'websiteURL,websiteKey,isInvisible\nhttps://a.b/,k,yes\n', 2],
    ['.ndjson', ndjson(task(1, { isInvisible: 'yes' })), 1]
  ])('have one problem if isInvisible is "yes" (%s)', async (ending, text, line) => {
    const { lines } = await batch(await start(), [file(ending, text)])
    expect(lines).toMatchObject([{ line, error: { problems: ['isInvisible: expected true or false'] } }])
  })

  it('are looked for in one object a line, not in one object over several', async () => {
    const { code, err } = await batch(await start(), [file('.json', JSON.stringify(task(1), null, 2))])
    expect(code).toBe(2)
    expect(err).toContain('looks like one JSON object over several lines; expected one object per line')
  })
})
