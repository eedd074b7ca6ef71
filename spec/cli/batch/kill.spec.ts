import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { EMULATOR_KEY, type Emulator } from 'rx-captcha/emulator'
import { built } from '../../support/built.js'
import { drawsOf } from '../../support/chaos/seeded.js'
import { emulators } from '../../support/raw-http.js'
import { progressOf, longRunOf } from '../../support/long-run.js'

const { count: kills, seed, timeoutMs } = longRunOf('KILL', 3)
const IS_LONG = kills > 10
const ITEMS = IS_LONG ? 500 : 60
const KILLS_A_BATCH = IS_LONG ? 20 : 3

const start = emulators()
const library = built()

interface Line {
  readonly id: string
  readonly ok: boolean
  readonly taskId?: string
  readonly error?: { readonly _tag: string }
}

const isLine = (value: unknown): value is Line => typeof value === 'object' && value !== null && 'id' in value

const documentsIn = (path: string): ReadonlyArray<unknown> =>
  (existsSync(path) ? readFileSync(path, 'utf8') : '')
    .split('\n')
    .slice(0, -1)
    .map((line): unknown => JSON.parse(line))

const idsIn = (journal: string): ReadonlyArray<string> =>
  documentsIn(journal).flatMap((line) =>
    typeof line === 'object' && line !== null && 'taskId' in line ? [String(line.taskId)] : []
  )

/** A batch of the command, which can be killed and started again. */
const batchOf = (emulator: Emulator, folder: string) => {
  const [input, journal, out] = ['in.ndjson', 'batch.journal', 'out.ndjson'].map((name) => join(folder, name))
  const items = Array.from({ length: ITEMS }, (_, nth) => ({
    id: `item-${nth}`,
    websiteURL: `https://example.com/item-${nth}`,
    websiteKey: 'k'
  }))
  writeFileSync(input!, items.map((item) => `${JSON.stringify(item)}\n`).join(''))
  const argv = ['dist/cli/main.js', 'batch', input!, '--journal', journal!, '--out', out!, '--concurrency', '40']
  const env = {
    ...process.env,
    CAPTCHA_BASE_URL: emulator.url,
    CAPTCHA_CLIENT_KEY: EMULATOR_KEY,
    CAPTCHA_POLL_EVERY_MS: '30'
  }
  const requests = () => {
    const { createTask, getTaskResult } = emulator.counters().requests
    return createTask + getTaskResult
  }
  /** Runs the command until the service has received `maxRequests` more requests, then kills it; `true` if it ended before. */
  const run = async (maxRequests: number): Promise<boolean> => {
    const child = spawn(process.execPath, argv, { cwd: library(), env, stdio: 'ignore' })
    const before = requests()
    const ended = new Promise<boolean>((resolve) => child.once('close', (_, signal) => resolve(signal === null)))
    const status = { isEnded: false }
    void ended.then(() => (status.isEnded = true))
    while (!status.isEnded && requests() - before < maxRequests) await sleep(1)
    child.kill('SIGKILL')
    return ended
  }
  return { items, run, recorded: () => idsIn(journal!), lines: () => documentsIn(out!).filter(isLine) }
}

const grouped = <T>(items: ReadonlyArray<T>, keyOf: (item: T) => string): ReadonlyMap<string, ReadonlyArray<T>> => {
  const groups = new Map<string, T[]>()
  for (const item of items) groups.set(keyOf(item), [...(groups.get(keyOf(item)) ?? []), item])
  return groups
}

/** The guarantees that a batch has broken, once it has ended after all kills. */
const violationsOf = (
  emulator: Emulator,
  { items, lines }: ReturnType<typeof batchOf>,
  recorded: ReadonlySet<string>
) => {
  const created = grouped(emulator.tasks(), (task) => String(task.task.websiteURL))
  const outputs = grouped(lines(), ({ id }) => id)
  const solved = new Set(lines().flatMap(({ taskId }) => taskId ?? []))
  return [
    ...items.flatMap(({ id, websiteURL }) => {
      const [tasks, outcomes] = [created.get(websiteURL) ?? [], outputs.get(id) ?? []]
      const [outcome] = outcomes
      const isCorrect = outcome?.ok ? outcome.taskId === tasks[0]?.taskId : outcome?.error?._tag === 'CreateUnknown'
      return [
        ...(tasks.length > 1 ? [`${id} was paid for ${tasks.length} times`] : []),
        ...(outcomes.length === 1 ? [] : [`${id} has ${outcomes.length} lines in the output`]),
        ...(isCorrect ? [] : [`${id} has the line ${JSON.stringify(outcome)}`])
      ]
    }),
    ...[...recorded]
      .filter((id) => !solved.has(id))
      .map((id) => `the task ${id} is in the journal and not in the output`)
  ]
}

describe(`a batch that is killed, KILL_SEED=${seed}`, () => {
  it(
    `pays for no item twice, loses no recorded task, and writes one line for each item, after ${kills} kills`,
    async () => {
      const draw = drawsOf(seed)
      const printProgress = progressOf(`KILL_SEED=${seed}`, kills, KILLS_A_BATCH)
      for (let done = 0; done < kills;) {
        const folder = mkdtempSync(join(tmpdir(), 'rx-captcha-'))
        const emulator = await start({ seed: seed + done, readyAfterMs: [20, 200] })
        const batch = batchOf(emulator, folder)
        const recorded = new Set<string>()
        let isEnded = false
        for (let nth = 0; nth < KILLS_A_BATCH && !isEnded; nth += 1) {
          // An item takes about three requests, so that most batches last for all of their kills.
          isEnded = await batch.run(1 + Math.floor((draw() * ITEMS * 4) / KILLS_A_BATCH))
          for (const id of batch.recorded()) recorded.add(id)
          if (!isEnded) done += 1
        }
        if (!isEnded) await batch.run(Infinity)
        expect(violationsOf(emulator, batch, recorded)).toStrictEqual([])
        await emulator.close()
        rmSync(folder, { recursive: true })
        printProgress(done)
      }
    },
    timeoutMs
  )
})
