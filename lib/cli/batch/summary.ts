import type { Failures, Tally } from './stats.js'

const WIDEST = 79

/** A duration for people. */
export const spell = (ms: number): string => {
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60
    ? `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}

export const counted = (count: number, one: string, more = `${one}s`): string =>
  `${count.toLocaleString('en')} ${count === 1 ? one : more}`

const heading = (tally: Tally, tookMs: number): string => {
  const parts = [
    `${tally.solved.toLocaleString('en')} solved`,
    `${tally.failed.toLocaleString('en')} failed`,
    ...(tally.done > 0 ? [`${tally.done.toLocaleString('en')} done before`] : []),
    ...(tally.repeated > 0 ? [counted(tally.repeated, 'repeated id')] : [])
  ]
  return `${counted(tally.over, 'item')} in ${spell(tookMs)}: ${parts.join(', ')}.`
}

const paid = ({ paid, perhaps }: Tally): string =>
  `Paid for: ${counted(paid, 'new task')}${perhaps > 0 ? `, and perhaps ${perhaps.toLocaleString('en')} more` : ''}.`

const MOST_STEPS = 8
const LONGEST_BAR = 40

const times = ({ times }: Tally): ReadonlyArray<string> => {
  if (times.total === 0) return []
  const steps = times.steps(MOST_STEPS)
  const highest = Math.max(...steps.map(({ count }) => count))
  const digits = steps.some(({ fromMs, toMs }) => toMs - fromMs < 100) ? 3 : 1
  const label = (ms: number) => (ms / 1_000).toFixed(digits)
  const width = Math.max(...steps.map(({ toMs }) => label(toMs).length))
  const [median, most, longest] = [0.5, 0.95, 1].map((share) => `${(times.quantile(share) / 1_000).toFixed(1)} s`)
  return [
    '',
    `Create to token: half within ${median}, 95 % within ${most}, all within ${longest}.`,
    ...steps.map(({ fromMs, toMs, count }) => {
      const range = `${label(fromMs).padStart(width)} - ${label(toMs).padStart(width)}`
      const bar = '#'.repeat(Math.ceil((count / highest) * LONGEST_BAR))
      return `  ${range}  ${String(count).padStart(7)}  ${bar}`.trimEnd()
    })
  ]
}

const failure = ([name, { count, lines }]: readonly [string, Failures]): string => {
  const where = `line${count === 1 ? '' : 's'} ${lines.join(', ')}${count > lines.length ? ', …' : ''}`
  // The code is the service's own, and of any length.
  return `  ${String(count).padStart(7)}  ${name.slice(0, 36).padEnd(36)}  ${where}`.slice(0, WIDEST)
}

const failures = ({ failures: found }: Tally): ReadonlyArray<string> =>
  found.size === 0
    ? []
    : ['', 'Failed:', ...[...found].sort(([, one], [, other]) => other.count - one.count).map(failure)]

/** What became of a batch, at most 80 columns wide. */
export const summary = (tally: Tally, tookMs: number): string =>
  [heading(tally, tookMs), paid(tally), ...times(tally), ...failures(tally)].join('\n')
