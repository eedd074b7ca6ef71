// Draws the diagrams of marbles.json, which marbles.spec.ts holds against the library: `npm run pictures`.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseMarbleDiagramSpecification } from '@swirly/parser'
import { renderMarbleDiagram } from '@swirly/renderer-node'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
const [folder = at('../../docs/marbles')] = process.argv.slice(2)
const { labels, diagrams } = JSON.parse(readFileSync(at('marbles.json'), 'utf8'))

const FONT = 'system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif'
const MONO = 'ui-monospace, SFMono-Regular, Menlo, Consolas, monospace'
const PADDING = 20
const TITLE_WIDTH = 148
const FRAME = 54
const RADIUS = 24
const HEIGHT = 60
const HEADING = 30
const AXIS = 26

// Each color of the light theme with its counterpart in the dark one.
const INK = ['#1f2328', '#e6edf3']
const PAPER = ['#ffffff', '#0d1117']
const FAINT = ['#d1d9e0', '#30363d']
const SOFT = ['#59636e', '#9198a1']
const BOX = ['#f6f8fa', '#161b22']
const LEAVES = ['#bc4c00', '#f0883e']
const PAUSE = ['#ffdfb6', '#4d2d00']
const FILLS = {
  id: ['#ddf4ff', '#0c2d6b'],
  proc: ['#eaeef2', '#30363d'],
  token: ['#dafbe1', '#033a16'],
  busy: ['#fff1e5', '#5a1e02'],
  lost: ['#ffebe9', '#67060c'],
  Right: ['#dafbe1', '#033a16'],
  Left: ['#ffebe9', '#67060c'],
  Created: ['#ddf4ff', '#0c2d6b'],
  Polled: ['#eaeef2', '#30363d'],
  Settled: ['#dafbe1', '#033a16'],
  a: ['#fbefff', '#3c1e70'],
  b: ['#fff8c5', '#4b2900'],
  c: ['#ffeff7', '#5e103e']
}
const [ink] = INK

const STYLES = {
  arrow_stroke_color: ink,
  arrow_stroke_width: 1.5,
  arrow_width: 8,
  background_color: 'transparent',
  barrier_color: LEAVES[0],
  barrier_stroke_width: 2.5,
  canvas_padding: PADDING,
  completion_height: HEIGHT,
  completion_stroke_color: ink,
  minimum_width: TITLE_WIDTH + 10 * FRAME + HEIGHT,
  event_radius: RADIUS,
  event_stroke_color: ink,
  event_stroke_width: 1.5,
  event_value_color: ink,
  event_value_font_family: FONT,
  event_value_font_size: 13,
  frame_width: FRAME,
  operator_corner_radius: 6,
  operator_fill_color: BOX[0],
  operator_height: 42,
  operator_spacing: 8,
  operator_stroke_color: ink,
  operator_stroke_width: 1.5,
  operator_title_color: ink,
  operator_title_font_family: MONO,
  operator_title_font_size: 15,
  range_fill_color: PAUSE[0],
  range_height: 20,
  range_stroke_color: 'none',
  stacking_height: 2 * RADIUS + 6,
  stream_spacing: 0,
  stream_title_color: ink,
  stream_title_font_family: FONT,
  stream_title_font_size: 14,
  stream_title_width: TITLE_WIDTH
}

/** A row in the format of swirly, where spaces before the marbles delay the beginning. */
const source = ({ box, marbles, call, replies, emits }) => {
  if (box) return `> ${box}`
  const used = Object.entries(labels).filter(([letter]) => marbles.includes(letter))
  const title = call ?? emits ?? `replies to ${replies}`
  return [marbles.trimEnd().replace('!', ''), `title = ${title}`, ...used.map((one) => one.join(' := '))].join('\n')
}

/** The rows as swirly sees them, with the colors of their marbles, unsubscriptions and pauses. */
const specification = ({ rows }) => {
  const parsed = parseMarbleDiagramSpecification(rows.map(source).join('\n\n'))
  parsed.content.forEach((item, nth) => {
    const { marbles = '', pause } = rows[nth]
    for (const message of item.messages ?? []) {
      const { value } = message.notification
      if (value) message.styles = { fill_color: FILLS[value][0], value_font_size: value.length > 6 ? 11 : 13 }
    }
    const start = marbles.search(/\S/)
    const leaves = marbles.indexOf('!')
    item.decorations = [
      ...(leaves < 0 ? [] : [{ kind: 'barrier', frame: leaves - start }]),
      ...(pause ? [{ kind: 'range', frame: pause[0], duration: pause[1] - pause[0] - RADIUS / FRAME }] : [])
    ]
    // The arrow is longer than the duration by the height of the row; here it ends at the unsubscription.
    if (leaves >= 0) item.duration = leaves - start - HEIGHT / FRAME
  })
  return parsed
}

const escaped = (text) => text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`)

const darkRules = [INK, PAPER, FAINT, SOFT, BOX, LEAVES, PAUSE, ...Object.values(FILLS)]
  .flatMap(([light, dark]) => ['fill', 'stroke'].map((name) => `[${name}="${light}"]{${name}:${dark}}`))
  .filter((rule, nth, rules) => rules.indexOf(rule) === nth)
  .join('')

/** Seconds below the rows, and a faint line for each of them behind the rows. */
const axis = (width, height) => {
  const left = PADDING + TITLE_WIDTH
  const seconds = Array.from({ length: Math.floor((width - PADDING - left) / FRAME) + 1 }, (_, second) => second)
  return seconds.map((second) => {
    const x = left + second * FRAME
    return (
      `<line x1="${x}" y1="${HEADING + PADDING}" x2="${x}" y2="${height - AXIS}" stroke="${FAINT[0]}"/>` +
      `<text x="${x}" y="${height - 8}" fill="${SOFT[0]}" font-family='${FONT}' font-size="12" text-anchor="middle">${second} s</text>`
    )
  })
}

/** Writes into the bar of a pause what it is. */
const labelPauses = (document) => {
  for (const bar of Array.from(document.getElementsByTagName('rect'))) {
    if (bar.getAttribute('fill') !== PAUSE[0]) continue
    const label = document.createElement('text')
    const attributes = {
      x: bar.getAttribute('width') / 2,
      y: 14,
      transform: bar.getAttribute('transform'),
      fill: ink,
      'font-family': FONT,
      'font-size': 12,
      'text-anchor': 'middle'
    }
    for (const [name, value] of Object.entries(attributes)) label.setAttribute(name, value)
    label.appendChild(document.createTextNode('the limiter is paused'))
    bar.parentNode.appendChild(label)
  }
}

const draw = (diagram) => {
  const { document, width: exact, height: inner } = renderMarbleDiagram(specification(diagram), { styles: STYLES })
  labelPauses(document)
  const width = Math.ceil(exact)
  const height = inner + HEADING + AXIS - 8
  const rows = Array.from(document.documentElement.childNodes, String)
    .join('\n')
    .replace(' xmlns="http://www.w3.org/2000/svg"', '')
    .replace(/\d+\.\d{3,}/g, (number) => String(Math.round(number * 100) / 100))
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" aria-labelledby="title about">
<title id="title">${escaped(diagram.title)}</title>
<desc id="about">${escaped(diagram.about.replaceAll('`', ''))}</desc>
<style>@media (prefers-color-scheme:dark){${darkRules}}</style>
<rect width="${width}" height="${height}" rx="8" fill="${PAPER[0]}"/>
<text x="${PADDING}" y="34" fill="${ink}" font-family='${FONT}' font-size="17" font-weight="600">${escaped(diagram.title)}</text>
${axis(width, height).join('\n')}
<g transform="translate(0 ${HEADING})">
${rows}
</g>
</svg>
`
}

mkdirSync(folder, { recursive: true })
for (const diagram of diagrams) writeFileSync(join(folder, `${diagram.name}.svg`), draw(diagram))
