import { MultiBar } from 'cli-progress'
import { interval, type SchedulerLike } from 'rxjs'
import { SCENES, blank, paidOf, tagOf, tookMs, type Happened, type Row } from './scenes.js'
import { seconds, tell, type Output } from '../shared/context.js'

/** Shows the tasks while they run. */
export interface View {
  readonly show: (index: number, row: Row, event: Happened) => void
  readonly close: () => void
}

/** Why a task waits longer than usual, in words. */
const REASONS = {
  rate: 'waits for its turn',
  unavailable: 'the service asks to come later',
  network: 'no answer came',
  reply: 'an answer outside the protocol'
} as const

const settledText = (row: Row): string =>
  tagOf(row) === 'Solved' ? 'solved' : `${tagOf(row) ?? ''}, paid: ${paidOf(row)}`

const textOf = (row: Row, event: Happened): string => {
  switch (event._tag) {
    case 'Begun':
      return 'begins'
    case 'Created':
      return 'created'
    case 'Polled':
      return `poll ${event.polls}`
    case 'Delayed':
      return `${REASONS[event.reason]} (${seconds(event.waitMs)} s)`
    case 'AssumedNotCreated':
      return 'taken for "come later"'
    case 'Settled':
      return settledText(row)
  }
}

const openLines = (output: Output, scheduler: SchedulerLike): View => {
  const startedAt = scheduler.now()
  return {
    show: (_index, row, event) => {
      tell(output, `${seconds(event.at - startedAt).padStart(5)} s  ${row.name}  ${textOf(row, event)}`)
    },
    close: () => {
      tell(output, '')
    }
  }
}

// Nobody knows how long a task takes: a bar shows steps, create and polls, and is full at the end.
const STEPS = 5

const stepsOf = ({ taskId, asked, endedAt }: Row): number =>
  endedAt === undefined ? Math.min((taskId === undefined ? 0 : 1) + asked, STEPS - 1) : STEPS

// What is left of 80 columns beside the name, the bar and the seconds; a longer line would wrap.
const ROOM = 35

const openBars = (output: Output, scheduler: SchedulerLike): View => {
  const bars = new MultiBar({
    stream: output,
    format: '{name} [{bar}] {took} s  {text}',
    barsize: 10,
    hideCursor: true,
    gracefulExit: false
  })
  const shown = SCENES.map((scene, index) => {
    const row = blank(scene, index)
    const bar = bars.create(STEPS, 0, { name: row.name, took: '  0.0', text: 'waits' })
    return { bar, row, text: 'waits' }
  })
  const draw = () => {
    for (const { bar, row, text } of shown) {
      const took = seconds(tookMs(row, scheduler.now())).padStart(5)
      bar.update(stepsOf(row), { took, text: text.slice(0, ROOM) })
    }
  }
  const ticking = interval(200).subscribe(draw)
  return {
    show: (index, row, event) => {
      Object.assign(shown[index] ?? {}, { row, text: textOf(row, event) })
      draw()
    },
    close: () => {
      ticking.unsubscribe()
      draw()
      bars.update()
      bars.stop()
      tell(output, '')
    }
  }
}

/** Bars on a terminal, elsewhere one line for each event. */
export const openView = (output: Output, scheduler: SchedulerLike): View =>
  output.isTTY === true ? openBars(output, scheduler) : openLines(output, scheduler)
