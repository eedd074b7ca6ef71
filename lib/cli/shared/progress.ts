import { clearScreenDown } from 'node:readline'
import { Format, MultiBar, type GenericFormatter } from 'cli-progress'
import { distinctUntilChanged, interval, map, type SchedulerLike } from 'rxjs'
import type { TaskEvent } from '../../core/model/event.js'
import { printLine, type CliContext, type OutputStream } from './context.js'
import { printable } from './text.js'

/** One line of a progress display. `share`, from 0 to 1, is drawn as a bar before the text. */
export interface Row {
  readonly text: string
  readonly share?: number | undefined
}

/** A display of rows: at the bottom of a terminal, or as lines now and then. */
export interface Progress {
  /** Prints a line, which stays. */
  readonly note: (text: string) => void
  /** Ends the display; rows on a terminal are erased, or drawn a last time. Later calls do nothing. */
  readonly close: () => void
}

const REDRAW_EVERY_MS = 200
const BAR_WIDTH = 20

/** Whether a stream is a terminal that can be drawn on: a dumb one moves no cursor. */
export const canDraw = (output: OutputStream, { TERM }: CliContext['env']): boolean =>
  output.isTTY === true && TERM !== 'dumb'

/** Draws `rows()` five times a second. The number of rows stays the same. */
export const drawProgress = (
  output: OutputStream,
  rows: () => ReadonlyArray<Row>,
  { keep = false }: { readonly keep?: boolean } = {}
): Progress => {
  const format: GenericFormatter = (options, { progress }, { text, hasBar }: { text: string; hasBar: boolean }) => {
    const line = printable(hasBar ? `[${Format.BarFormat(progress, options)}] ${text}` : text)
    // A line as wide as the terminal would wrap, and the next drawing would start below it.
    return line.slice(0, widthOf(output))
  }
  // A kill -9 would leave the cursor hidden and wrapping turned off.
  // Redrawn unchanged too, because a note erases the rows.
  const terminal = { hideCursor: false, linewrap: true, forceRedraw: true }
  const options = { ...terminal, stream: output, format, barsize: BAR_WIDTH, clearOnComplete: !keep }
  const bars = new MultiBar({ ...options, gracefulExit: false, emptyOnZero: true })
  const lines = rows().map(() => bars.create(1, 0, { text: '', hasBar: false }))
  const draw = (): void => {
    rows().forEach(({ text, share }, at) => lines[at]?.update(share ?? 0, { text, hasBar: share !== undefined }))
    bars.update()
  }
  draw()
  const drawing = interval(REDRAW_EVERY_MS).subscribe(draw)
  return {
    note: (text) => {
      // A note in several lines would leave the end of a row behind it.
      bars.once('redraw-pre', () => clearScreenDown(output))
      bars.log(`${wrapped(printable(text), widthOf(output))}\n`)
      bars.update()
    },
    close: () => {
      if (drawing.closed) return
      drawing.unsubscribe()
      draw()
      bars.stop()
    }
  }
}

/** The width of a row. Some terminals have no column, and some do not know how many. */
const widthOf = ({ columns = 0 }: OutputStream): number => Math.max(1, (columns || 80) - 1)

/** Text in lines of at most `width` characters, broken at spaces. */
const wrapped = (text: string, width: number): string =>
  text.replace(new RegExp(`(.{1,${width}})(?: |$)`, 'g'), '$1\n').trimEnd()

const PRINT_EVERY_MS = 10_000

/** Prints `rows()` in one line every ten seconds if they have changed, where they cannot be drawn. */
export const printProgress = (
  output: OutputStream,
  rows: () => ReadonlyArray<Row>,
  scheduler?: SchedulerLike
): Progress => {
  const note = (text: string): void => {
    printLine(output, text)
  }
  const lines = interval(PRINT_EVERY_MS, scheduler).pipe(
    map(() =>
      rows()
        .map(({ text }) => text)
        .join('  ')
    ),
    distinctUntilChanged()
  )
  const printing = lines.subscribe(note)
  return {
    note,
    close: () => {
      printing.unsubscribe()
    }
  }
}

/** Why a task waits longer than usual. */
export const DELAY_REASONS: Readonly<
  Record<Extract<TaskEvent<never>, { readonly _tag: 'Delayed' }>['reason'], string>
> = {
  rate: 'rate limit',
  unavailable: 'service unavailable',
  network: 'no reply',
  reply: 'bad reply'
}
