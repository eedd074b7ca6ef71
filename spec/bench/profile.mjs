// Reads what `--profile` wrote: node spec/bench/profile.mjs FILE.cpuprofile [QUESTIONS] | FILE.heapsnapshot [TASKS]
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'

const MAX_LINES = 25

const top = (totals) => [...totals].sort(([, a], [, b]) => b.self - a.self).slice(0, MAX_LINES)

const add = (totals, name, self) => {
  const total = totals.get(name) ?? { self: 0, count: 0 }
  totals.set(name, { self: total.self + self, count: total.count + 1 })
}

/** Self time by function. */
const cpu = ({ nodes, samples, timeDeltas }, polls) => {
  const names = new Map(
    nodes.map(({ id, callFrame: { functionName, url, lineNumber } }) => [
      id,
      `${functionName || '(anonymous)'} ${url === '' ? '' : `${basename(url)}:${lineNumber + 1}`}`
    ])
  )
  const totals = new Map()
  samples.forEach((id, at) => add(totals, names.get(id), timeDeltas[at]))
  totals.delete('(idle) ')
  const busy = [...totals.values()].reduce((sum, { self }) => sum + self, 0)
  console.log(`${(busy / 1e6).toFixed(1)} s busy${polls ? `, ${(busy / polls).toFixed(1)} us a poll` : ''}`)
  for (const [name, { self }] of top(totals))
    console.log(
      `${((100 * self) / busy).toFixed(1).padStart(5)} %  ${polls ? `${(self / polls).toFixed(2).padStart(6)} us  ` : ''}${name}`
    )
}

/** Shallow size and number of objects by constructor, arrays and closures by their name. */
const heap = ({ snapshot, nodes, strings }, tasks) => {
  const { node_fields: fields, node_types: types } = snapshot.meta
  const [type, name, size] = ['type', 'name', 'self_size'].map((field) => fields.indexOf(field))
  const totals = new Map()
  for (let at = 0; at < nodes.length; at += fields.length) {
    const kind = types[0][nodes[at + type]]
    const isText = ['string', 'concatenated string', 'sliced string', 'number', 'code'].includes(kind)
    add(totals, isText ? `(${kind})` : `${strings[nodes[at + name]] || '(anonymous)'} (${kind})`, nodes[at + size])
  }
  for (const [label, { self, count }] of top(totals))
    console.log(
      `${String(Math.round(self / tasks)).padStart(6)} B a task  ${(count / tasks).toFixed(2).padStart(6)} of them  ${label}`
    )
}

const [, , file, per] = process.argv
const written = JSON.parse(readFileSync(file, 'utf8'))
if (file.endsWith('.heapsnapshot')) heap(written, Number(per ?? 10_000))
else cpu(written, Number(per ?? 0))
