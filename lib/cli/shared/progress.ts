import { Subscription, interval } from 'rxjs'
import type { TaskEvent } from '../../core/model/event.js'
import { printable, type Output } from './context.js'

/** One line on a terminal, kept up to date; nothing elsewhere. */
export interface Line {
  readonly show: (event: TaskEvent<unknown>) => void
  readonly clear: () => void
}

const NOWHERE: Line = { show: () => undefined, clear: () => undefined }

const plural = (n: number, word: string): string => `${n} ${word}${n === 1 ? '' : 's'}`

interface Shown {
  readonly task: string
  readonly asked: number
  readonly note: string
}

// Shorter than REASONS: the id of the task takes half of a line.
const NOTES = { rate: 'in its turn', unavailable: 'come later', network: 'no answer', reply: 'bad answer' } as const

const next = (shown: Shown, event: TaskEvent<unknown>): Shown => {
  switch (event._tag) {
    case 'Created':
      return { ...shown, task: event.ref.taskId, note: '' }
    case 'Polled':
      return { task: event.ref.taskId, asked: event.polls, note: '' }
    case 'Delayed':
      return { ...shown, note: `${NOTES[event.reason]}, wait ${Math.ceil(event.waitMs / 1_000)} s` }
    case 'AssumedNotCreated':
      return { ...shown, note: `HTTP ${event.status}, comes later` }
    case 'Settled':
      return shown
  }
}

export const openLine = (output: Output): Line => {
  if (output.isTTY !== true) return NOWHERE
  const startedAt = Date.now()
  let shown: Shown = { task: 'creating a task', asked: 0, note: '' }
  const draw = () => {
    const elapsed = `${Math.round((Date.now() - startedAt) / 1_000)} s`
    const parts = [shown.task, plural(shown.asked, 'poll'), elapsed, shown.note]
    const text = printable(parts.filter((part) => part !== '').join(' · '))
    // A line as wide as the terminal would wrap, and the next one be drawn below it.
    output.write(`\r${text.slice(0, (output.columns ?? 80) - 1)}\x1b[K`)
  }
  const ticking = interval(1_000).subscribe(draw)
  const open = new Subscription(() => output.write('\r\x1b[K'))
  open.add(ticking)
  draw()
  return {
    show: (event) => {
      shown = next(shown, event)
      if (!open.closed) draw()
    },
    clear: () => {
      open.unsubscribe()
    }
  }
}
