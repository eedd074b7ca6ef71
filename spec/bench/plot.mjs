const ROW = 26
const LABEL = 190
const BAR = 230
const VALUE = 90
const GAP = 30
const TOP = 46
const WIDTH = LABEL + 2 * (BAR + VALUE) + GAP

// Readable on white and on black.
const STYLE = `
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .title { font-weight: 600 }
  .about { font-size: 11px; fill: #57606a }
  .bar { fill: #8c959f }
  .ours { fill: #1f6feb }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 }
    .about { fill: #9198a1 }
    .bar { fill: #6e7681 }
    .ours { fill: #58a6ff }
  }`

const escaped = (text) => text.replace(/[&<>]/g, (sign) => `&#${sign.charCodeAt(0)};`)

/** One group of bars: a value for each contender, as long as the longest is wide. */
const bars = (contenders, left, valueOf, shown) => {
  const most = Math.max(...contenders.map(valueOf))
  return contenders.map((one, at) => {
    const width = Math.max(1, (BAR * valueOf(one)) / most)
    const y = TOP + at * ROW
    const kind = one.name === 'rx-captcha' ? 'bar ours' : 'bar'
    return `<rect class="${kind}" x="${left}" y="${y + 4}" width="${width.toFixed(1)}" height="${ROW - 10}" rx="2"/>
  <text x="${(left + width + 6).toFixed(1)}" y="${y + 17}">${shown(valueOf(one))}</text>`
  })
}

/** CPU and memory of each contender under the first workload, as an SVG. */
export const plot = ({ date, machine, workloads }) => {
  const [{ contenders, protocol }] = workloads
  const floor = contenders.find(({ name }) => name === 'floor')
  const cpu = (one) => one.cpuPerSolveUs / floor.cpuPerSolveUs
  const heap = (one) => one.heapPerTask / 1_000
  const [first, second] = [LABEL, LABEL + BAR + VALUE + GAP]
  const height = TOP + contenders.length * ROW + 24
  const names = contenders.map(
    ({ name }, at) => `<text x="${LABEL - 10}" y="${TOP + at * ROW + 17}" text-anchor="end">${escaped(name)}</text>`
  )
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">
  <title>CPU and memory, compared with a hand-written floor and with other clients</title>
  <style>${STYLE}</style>
  <text class="title" x="${first}" y="22">CPU of a solve over ${protocol}, floor = 1</text>
  <text class="title" x="${second}" y="22">Heap of a waiting task, KB</text>
  ${[
    ...names,
    ...bars(contenders, first, cpu, (value) => `${value.toFixed(2)} x`),
    ...bars(contenders, second, heap, (value) => value.toFixed(1))
  ].join('\n  ')}
  <text class="about" x="${LABEL}" y="${height - 8}">${escaped(`${date}, ${machine}`)}</text>
</svg>
`
}
