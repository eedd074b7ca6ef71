// Entries a second of the file journal: `npm run build && node spec/bench/journal.mjs [seconds] [folder]`.
// A key is three entries, each on the disk before the next: begun, created, ended.
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { lastValueFrom } from 'rxjs'
import { fileJournal } from '../../dist/journal/index.js'

const [seconds = '3', parent = tmpdir()] = process.argv.slice(2)
const folder = mkdtempSync(join(parent, 'rx-captcha-bench-'))

const measure = async (concurrency) => {
  const path = join(folder, `${concurrency}.journal`)
  const journal = await fileJournal(path)
  let entries = 0
  let key = 0
  const [cpu, begun] = [process.cpuUsage(), performance.now()]
  const until = begun + Number(seconds) * 1_000
  const writer = async () => {
    while (performance.now() < until) {
      const name = `https://example.com/login#${(key += 1)}`
      await lastValueFrom(journal.begin(name))
      await lastValueFrom(journal.created(name, { taskId: `task-${key}`, createdAt: Date.now() }))
      await lastValueFrom(journal.ended(name, 'Solved'))
      entries += 3
    }
  }
  await Promise.all(Array.from({ length: concurrency }, writer))
  const elapsed = (performance.now() - begun) / 1_000
  const { user, system } = process.cpuUsage(cpu)
  await journal.close()
  const again = performance.now()
  await (await fileJournal(path)).close()
  const reopened = performance.now() - again
  console.log(
    [
      `${concurrency} at once`,
      `${Math.round(entries / elapsed).toLocaleString('en')} entries/s`,
      `${((user + system) / entries).toFixed(1)} us CPU an entry`,
      `${key.toLocaleString('en')} keys reopened in ${Math.round(reopened)} ms`,
      `${(statSync(path).size / 2 ** 20).toFixed(1)} MiB after`
    ].join(' · ')
  )
}

try {
  for (const concurrency of [1, 10, 100, 1_000, 10_000]) await measure(concurrency)
} finally {
  rmSync(folder, { recursive: true })
}
