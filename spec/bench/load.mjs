// Load time of the package, compared with rxjs and undici alone: `npm run build && node spec/bench/load.mjs [PAIRS]`.
// Each load has a process of its own, and the two are measured in turn, so that a busy machine slows both of them.
import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PAIRS = Number(process.argv[2] ?? 15)

const index = fileURLToPath(new URL('../../dist/index.js', import.meta.url))

const CONTENDERS = { 'rxjs and undici': ['rxjs', 'undici'], 'rx-captcha': [index] }

/** CPU of the loading alone, without the start of Node. */
const load = (modules) => {
  const script = `const before = process.cpuUsage()
    for (const name of ${JSON.stringify(modules)}) require(name)
    const { user, system } = process.cpuUsage(before)
    console.log((user + system) / 1_000)`
  return Number(execFileSync(process.execPath, ['-e', script], { cwd: fileURLToPath(new URL('.', import.meta.url)) }))
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]

const taken = Object.keys(CONTENDERS).map((name) => ({ name, ms: [] }))
for (let pair = 0; pair < PAIRS; pair += 1) for (const { name, ms } of taken) ms.push(load(CONTENDERS[name]))

const [base, ours] = taken.map(({ ms }) => median(ms))
for (const { name, ms } of taken) console.log(`${name.padEnd(15)} ${median(ms).toFixed(1).padStart(6)} ms`)
console.log(`ratio           ${(ours / base).toFixed(2).padStart(6)}`)
