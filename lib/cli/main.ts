#!/usr/bin/env node
import { fromEvent, map, merge } from 'rxjs'
import { run } from './run.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

// After a second Ctrl-C calls may still be in flight; they must not keep the process alive.
const GRACE_MS = 100

const main = async (): Promise<void> => {
  const { env, stdin, stdout, stderr, argv } = process
  process.exitCode = await run(argv.slice(2), {
    env,
    stdin,
    stdout,
    stderr,
    signals: merge(...SIGNALS.map((signal) => fromEvent(process, signal).pipe(map(() => signal)))),
    loadEmulator: () => import('../emulator/index.js'),
    loadJournal: () => import('../journal/index.js'),
    loadQueue: async () => ({
      bullmq: await import('bullmq'),
      ioredis: await import('ioredis'),
      adapter: await import('../bullmq/index.js')
    })
  })
  setTimeout(() => process.exit(), GRACE_MS).unref()
}

void main()
