#!/usr/bin/env node
import { fstatSync, writeFileSync } from 'node:fs'
import { Writable } from 'node:stream'
import { firstValueFrom, from, fromEvent, map, merge, race, tap, timer } from 'rxjs'
import { run } from './run.js'
import { write, type OutputStream } from './shared/context.js'
import { READER_GRACE_MS } from './shared/stop-levels.js'

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

// After a second Ctrl-C calls may still be in flight; they must not keep the process alive.
const GRACE_MS = 100

/** An output of the process. Node writes a text to a file once, and ignores how much of it was written. */
const outputOf = (stream: NodeJS.WriteStream & { readonly fd: number }): OutputStream =>
  fstatSync(stream.fd).isFile() ? fileOutput(stream.fd) : stream

const fileOutput = (fd: number): OutputStream =>
  new Writable({
    write: (text: Buffer, _encoding, done) => {
      try {
        writeFileSync(fd, text)
        done()
      } catch (error) {
        done(error as Error)
      }
    }
  })

const main = async (): Promise<void> => {
  const { env, stdin, argv } = process
  const [stdout, stderr] = [outputOf(process.stdout), outputOf(process.stderr)]
  let received = 0
  const signals = merge(...SIGNALS.map((signal) => fromEvent(process, signal).pipe(map(() => signal)))).pipe(
    tap(() => (received += 1))
  )
  process.exitCode = await run(argv.slice(2), {
    env,
    stdin,
    stdout,
    stderr,
    signals,
    loadEmulator: () => import('../emulator/index.js'),
    loadJournal: () => import('../journal/index.js'),
    loadQueue: async () => ({
      bullmq: await import('bullmq'),
      ioredis: await import('ioredis'),
      adapter: await import('../bullmq/index.js')
    })
  })
  // After a signal a reader that reads nothing must not keep the process alive.
  const printed = Promise.all([stdout, stderr].map((output) => write(output, '')))
  await firstValueFrom(race(from(printed), received > 0 ? timer(READER_GRACE_MS) : signals))
  setTimeout(() => process.exit(), GRACE_MS).unref()
}

void main()
