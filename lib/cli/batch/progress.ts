import { MultiBar } from 'cli-progress'
import { interval, type SchedulerLike } from 'rxjs'
import type { Tally } from './stats.js'
import { spell } from './summary.js'
import { printable, tell, type Output } from '../shared/context.js'

/** Shows how far a batch is. */
export interface Progress {
  /** A line for the user, which stays. */
  readonly note: (text: string) => void
  readonly close: () => void
}

const REDRAW_EVERY_MS = 200
const TELL_EVERY_MS = 10_000

/** The recent pace: what came long ago says little about the time that is left. */
class Pace {
  #samples: { readonly at: number; readonly over: number }[] = []

  add(at: number, over: number): void {
    this.#samples.push({ at, over })
    this.#samples = this.#samples.filter((sample) => sample.at >= at - 30_000)
  }

  get perSecond(): number {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)]
    return first && last && last.at > first.at ? ((last.over - first.over) / (last.at - first.at)) * 1_000 : 0
  }
}

interface Shown {
  readonly tally: Tally
  readonly total: number | undefined
  readonly pace: Pace
}

const countsOf = ({ tally }: Shown): string =>
  [
    `${tally.inFlight} in flight`,
    `${tally.solved} solved`,
    `${tally.failed} failed`,
    `${tally.paid} paid`,
    ...(tally.done > 0 ? [`${tally.done} done before`] : [])
  ].join('  ')

const rateOf = ({ pace: { perSecond } }: Shown): string => `${perSecond.toFixed(perSecond < 10 ? 1 : 0)}/s`

const timeLeft = ({ tally, total, pace: { perSecond } }: Shown): string =>
  total === undefined || perSecond === 0 ? '' : `${spell(((total - tally.over) / perSecond) * 1_000)} left`

const ofTotal = ({ tally, total }: Shown): string => (total === undefined ? `${tally.over}` : `${tally.over}/${total}`)

const openLines = (output: Output, shown: Shown, scheduler: SchedulerLike): Progress => {
  const telling = interval(TELL_EVERY_MS, scheduler).subscribe(() => {
    shown.pace.add(scheduler.now(), shown.tally.over)
    tell(output, [ofTotal(shown), countsOf(shown), rateOf(shown), timeLeft(shown)].filter(Boolean).join('  '))
  })
  return {
    note: (text) => {
      tell(output, text)
    },
    close: () => {
      telling.unsubscribe()
    }
  }
}

const openBars = (output: Output, shown: Shown, scheduler: SchedulerLike): Progress => {
  const { tally, total, pace } = shown
  const bars = new MultiBar({ stream: output, format: '', barsize: 30, hideCursor: true, gracefulExit: false })
  const format = total === undefined ? '{done} items  {rate}' : '[{bar}] {done}  {rate}  {left}'
  const bar = bars.create(total ?? 1, 0, { done: ofTotal(shown), rate: '', left: '' }, { format })
  const counts = bars.create(1, 0, { counts: countsOf(shown) }, { format: '{counts}' })
  const draw = () => {
    pace.add(scheduler.now(), tally.over)
    bar.update(Math.min(tally.over, total ?? 0), {
      done: ofTotal(shown),
      rate: rateOf(shown),
      left: timeLeft(shown)
    })
    counts.update(0, { counts: countsOf(shown) })
  }
  const drawing = interval(REDRAW_EVERY_MS, scheduler).subscribe(draw)
  return {
    note: (text) => {
      bars.log(`${printable(text)}\n`)
      bars.update()
    },
    close: () => {
      drawing.unsubscribe()
      draw()
      bars.update()
      bars.stop()
      tell(output, '')
    }
  }
}

/** Bars on a terminal, elsewhere a line every ten seconds. */
export const openProgress = (
  output: Output,
  tally: Tally,
  total: number | undefined,
  scheduler: SchedulerLike
): Progress => {
  const shown = { tally, total, pace: new Pace() }
  return output.isTTY === true ? openBars(output, shown, scheduler) : openLines(output, shown, scheduler)
}
