import { canDraw, drawProgress } from '../../lib/cli/shared/progress.js'
import { makeConsole } from '../support/command.js'

const ESCAPE = String.fromCharCode(27)
const PART = new RegExp(`${ESCAPE}\\[(\\d*)([A-Za-z])|\\n|[^${ESCAPE}]`, 'gu')

/** The lines that a terminal of this width shows after a text. It knows the sequences of the display, and no other. */
const screenAfter = (text: string, columns: number): ReadonlyArray<string> => {
  const rows: string[] = ['']
  let [x, y] = [0, 0]
  const put = (row: number, value: string) => {
    while (rows.length <= row) rows.push('')
    rows[row] = value
  }
  const moves: Readonly<Record<string, (count: number) => void>> = {
    A: (count) => void (y -= count),
    G: (count) => void (x = count - 1),
    K: (all) => put(y, all === 2 ? '' : (rows[y] ?? '').slice(0, x)),
    J: () => {
      rows.length = y + 1
      put(y, (rows[y] ?? '').slice(0, x))
    }
  }
  for (const [part, count = '', move] of text.matchAll(PART)) {
    if (move !== undefined) {
      expect(Object.keys(moves)).toContain(move)
      moves[move]?.(Number(count))
    } else if (part === '\n') [x, y] = [0, y + 1]
    else {
      if (x === columns) [x, y] = [0, y + 1]
      const row = (rows[y] ?? '').padEnd(x)
      put(y, row.slice(0, x) + part + row.slice(x + 1))
      x += 1
    }
    put(y, rows[y] ?? '')
  }
  return rows
}

describe('the progress display on a terminal', () => {
  const ROWS = [{ text: '1/2', share: 0.5 }, { text: `ends ${'beyond the edge '.repeat(3)}` }]
  const BAR = '[==========----------] 1/2'
  const drawn = (act: (progress: ReturnType<typeof drawProgress>) => void, columns = 40) => {
    const output = makeConsole({ isTTY: true, columns })
    const progress = drawProgress(output, () => ROWS)
    act(progress)
    const before = output.text()
    progress.close()
    return { before: screenAfter(before, columns), after: screenAfter(output.text(), columns), text: output.text() }
  }

  it('cuts rows off before the edge, and is erased at the end', () => {
    const { before, after } = drawn(() => undefined)
    expect(before).toStrictEqual([BAR, 'ends beyond the edge beyond the edge be'])
    expect(after).toStrictEqual([''])
  })

  it('leaves nothing of a row behind a note, also if one word of the note is wider than the terminal', () => {
    const { before, after } = drawn(({ note }) => {
      note('A note of several words that is wider than the terminal.')
      note('x'.repeat(50))
      note('short')
    })
    const notes = [
      'A note of several words that is wider',
      'than the terminal.',
      'x'.repeat(40),
      'x'.repeat(10),
      'short'
    ]
    expect(before).toStrictEqual([...notes, BAR, 'ends beyond the edge beyond the edge be'])
    expect(after).toStrictEqual([...notes, ''])
  })

  it.each([1, 0])('is drawn in at least one column, if the terminal has %d', (columns) => {
    const output = makeConsole({ isTTY: true, columns })
    const progress = drawProgress(output, () => [{ text: '1/2' }])
    progress.note('A note.')
    progress.close()
    expect(output.text()).toContain(columns === 0 ? '1/2' : '1')
    expect(output.text()).toContain(columns === 0 ? 'A note.' : 'A')
  })

  it('neither hides the cursor nor turns wrapping off, which a killed command would leave so', () => {
    expect(drawn(({ note }) => note('a note')).text).not.toContain('\x1b[?')
  })

  it('is drawn on no dumb terminal, and on nothing else', () => {
    const isDrawn = (isTTY: boolean, TERM?: string) => canDraw(makeConsole({ isTTY }), { TERM })
    expect([isDrawn(true), isDrawn(true, 'xterm'), isDrawn(true, 'dumb'), isDrawn(false)]).toStrictEqual([
      ...[true, true, false, false]
    ])
  })
})
