#!/usr/bin/env node
import { fromEvent, map, merge } from 'rxjs'
import { run } from './run.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

// What was left behind by a second Ctrl-C must not hold the process up.
const GRACE_MS = 100

const loadEmulator = () => import('../emulator/index.js')
const loadJournal = () => import('../journal/index.js')

const main = async (): Promise<void> => {
  const { env, stdin, stdout, stderr, argv } = process
  const signals = merge(...SIGNALS.map((signal) => fromEvent(process, signal).pipe(map(() => signal))))
  process.exitCode = await run(argv.slice(2), { env, stdin, stdout, stderr, signals, loadEmulator, loadJournal })
  setTimeout(() => process.exit(), GRACE_MS).unref()
}

void main()
