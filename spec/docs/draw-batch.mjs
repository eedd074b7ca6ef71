// Draws the recording batch.cast as an animated picture: `npm run pictures`.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import xterm from '@xterm/headless'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
const [file = at('../../docs/batch.svg')] = process.argv.slice(2)
const [header, ...events] = readFileSync(at('batch.cast'), 'utf8')
  .trim()
  .split('\n')
  .map((line) => JSON.parse(line))

const LINE = 20
const CHARACTER = 8.45
const MARGIN = 18
const BAR = 34
// Writes that follow each other faster belong to one state of the screen.
const SETTLE_S = 0.05

/** The states of the screen, each with the second from which it is seen. */
const screens = async () => {
  const terminal = new xterm.Terminal({ cols: header.width, rows: header.height, allowProposedApi: true })
  const states = []
  for (const [second, , text] of events) {
    await new Promise((done) => terminal.write(text, done))
    const { active } = terminal.buffer
    const lines = Array.from({ length: header.height }, (_, row) =>
      active.getLine(active.viewportY + row).translateToString(true)
    )
    if (states.length > 0 && second - states.at(-1).second < SETTLE_S) states.at(-1).lines = lines
    else states.push({ second, lines })
  }
  return states
}

/** Every text that a row shows, with the times from when to when. */
const textsOf = (states, total) => {
  const texts = new Map()
  states.forEach(({ second, lines }, nth) => {
    const until = states[nth + 1]?.second ?? total
    lines.forEach((text, row) => {
      if (text === '') return
      const key = `${row} ${text}`
      const times = texts.get(key)?.times ?? []
      if (times.at(-1)?.until === second) times.at(-1).until = until
      else times.push({ from: second, until })
      texts.set(key, { row, text, times })
    })
  })
  return [...texts.values()]
}

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)

/** Keyframes that show an element in its times only. */
const keyframesOf = (times, total) => {
  const percent = (second) => `${Math.round((10_000 * second) / total) / 100}%`
  const steps = times.flatMap(({ from, until }) => [
    `${percent(from)}{visibility:visible}`,
    ...(until < total ? [`${percent(until)}{visibility:hidden}`] : [])
  ])
  return (times[0].from > 0 ? '0%{visibility:hidden}' : '') + steps.join('')
}

const states = await screens()
const total = events.at(-1)[0]
const names = new Map()
const texts = textsOf(states, total).map(({ row, text, times }) => {
  const keyframes = keyframesOf(times, total)
  if (!names.has(keyframes)) names.set(keyframes, `k${names.size}`)
  const kind = [text.startsWith('$ ') && 'prompt', times.at(-1).until === total && 'last'].filter(Boolean).join(' ')
  const y = BAR + MARGIN + row * LINE
  const attributes = kind ? ` class="${kind}"` : ''
  return `<text${attributes} x="${MARGIN}" y="${y}" style="animation-name:${names.get(keyframes)}">${escaped(text)}</text>`
})

const width = Math.ceil(header.width * CHARACTER + 2 * MARGIN)
const height = BAR + header.height * LINE + MARGIN
const paid = Array.from(
  events
    .map(([, , text]) => text)
    .join('')
    .matchAll(/Paid for: (\d+) new tasks/g),
  ([, n]) => n
)

writeFileSync(
  file,
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title about">
<title id="title">rx-captcha batch in a terminal</title>
<desc id="about">The command ${escaped(header.command)} is stopped with Ctrl-C and then run again. The first run paid for ${paid[0]} tasks, the second continues them and pays for the other ${paid[1]}: none is paid for twice.</desc>
<style>
text{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#d1d7e0;white-space:pre;visibility:hidden;animation:${total}s step-end infinite}
.prompt{fill:#7ee787}
.about{font-size:12px;fill:#9198a1;text-anchor:middle;visibility:visible;animation:none}
.last{visibility:visible}
@media (prefers-reduced-motion:reduce){text{animation:none}}
${Array.from(names, ([keyframes, name]) => `@keyframes ${name}{${keyframes}}`).join('\n')}
</style>
<rect x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="8" fill="#0d1117" stroke="#3d444d"/>
<circle cx="20" cy="18" r="6" fill="#ff5f57"/>
<circle cx="40" cy="18" r="6" fill="#febc2e"/>
<circle cx="60" cy="18" r="6" fill="#28c840"/>
<text class="about" x="${width / 2}" y="22">recorded against the emulator, at about ten times the pace</text>
<g xml:space="preserve">
${texts.join('\n')}
</g>
</svg>
`
)
