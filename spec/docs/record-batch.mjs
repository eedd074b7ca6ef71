// Records the command `batch` in a terminal as batch.cast, in the format of asciinema: `npm run record`. Needs `script` of util-linux.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { EMULATOR_KEY, startEmulator } from 'rx-captcha/emulator'

const at = (path) => fileURLToPath(new URL(path, import.meta.url))
const [WIDTH, HEIGHT] = [80, 22]
const ITEMS = 60
const COMMAND = 'rx-captcha batch sites.csv --out tokens.ndjson --concurrency 20'

const main = at('../../dist/cli/main.js')
const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-record-'))
const emulator = await startEmulator({
  seed: 7,
  readyAfterMs: [400, 2_500],
  faults: ['task:3%:ERROR_CAPTCHA_UNSOLVABLE', 'getTaskResult:10%:reset']
})
const env = {
  PATH: process.env.PATH,
  TERM: 'xterm',
  CAPTCHA_BASE_URL: emulator.url,
  CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
  CAPTCHA_POLL_EVERY_MS: '250'
}

// The time of the recording; typing and reading add to it.
let nowMs = 0
const events = []
const print = (text) => events.push([nowMs / 1_000, 'o', text])

const type = (text) => {
  print('$ ')
  nowMs += 500
  for (const letters of text.match(/.{1,3}/g)) {
    print(letters)
    nowMs += 45
  }
  print('\r\n')
}

/** Runs the command in a terminal and presses Ctrl-C at the given times. */
const run = async (ctrlCAtMs) => {
  const shell = `stty cols ${WIDTH} rows ${HEIGHT}; exec "${process.execPath}" "${main}" ${COMMAND.replace('rx-captcha ', '')}`
  const terminal = spawn('script', ['-qfec', shell, '/dev/null'], { cwd: folder, env })
  const startedAt = performance.now()
  const base = nowMs
  terminal.stdout.setEncoding('utf8').on('data', (text) => {
    nowMs = base + Math.round(performance.now() - startedAt)
    print(text)
  })
  const exit = once(terminal, 'exit')
  for (const ms of ctrlCAtMs) void delay(ms, undefined, { ref: false }).then(() => terminal.stdin.write('\x03'))
  await exit
}

try {
  const rows = Array.from({ length: ITEMS }, (_, nth) => `site-${nth},https://${nth}.example.com/login,site-key-${nth}`)
  writeFileSync(join(folder, 'sites.csv'), `${['id,websiteURL,websiteKey', ...rows].join('\n')}\n`)
  type(COMMAND)
  await run([2_800, 3_400])
  nowMs += 2_000
  type(COMMAND)
  await run([])
  print('$ ')
  nowMs += 3_000
  print('')
  const lines = [{ version: 2, width: WIDTH, height: HEIGHT, command: COMMAND }, ...events]
  writeFileSync(at('batch.cast'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''))
} finally {
  await emulator.close()
  rmSync(folder, { recursive: true })
}
