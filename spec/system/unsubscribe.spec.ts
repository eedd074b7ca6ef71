import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { delay, filter, of, take, type Observable } from 'rxjs'
import type { TaskEvent } from 'rx-captcha'
import { drawsOf, pick, type Draw } from '../support/chaos/seeded.js'
import { emulators } from '../support/raw-http.js'
import { rush } from '../support/load.js'
import { handles } from '../support/solvers.js'
import { soakOf } from '../support/long-run.js'

const start = emulators()
const { seed } = soakOf('CHAOS', 0)

const isConnected = (message: unknown): message is { readonly socket: Socket } =>
  typeof message === 'object' && message !== null && 'socket' in message

/** All connections that undici makes from now on, until the test is over. */
const connections = (): ReadonlyArray<Socket> => {
  const sockets: Socket[] = []
  const note = (message: unknown): void => {
    if (isConnected(message)) sockets.push(message.socket)
  }
  subscribe('undici:client:connected', note)
  stops.push(() => unsubscribe('undici:client:connected', note))
  return sockets
}

/** Warnings of the process from now on, until the test is over: one of them tells of too many listeners. */
const warnings = (): ReadonlyArray<string> => {
  const seen: string[] = []
  const note = ({ name }: Error): void => void seen.push(name)
  process.on('warning', note)
  stops.push(() => process.off('warning', note))
  return seen
}

/** How many listeners were added, from now on, that were not removed: on targets of the DOM's kind, and on the process. */
const listeners = (): (() => number) => {
  const added = jest.spyOn(EventTarget.prototype, 'addEventListener')
  const removed = jest.spyOn(EventTarget.prototype, 'removeEventListener')
  const ofProcess = (): number => process.eventNames().reduce((count, name) => count + process.listenerCount(name), 0)
  const before = ofProcess()
  stops.push(jest.restoreAllMocks)
  return () => ofProcess() - before + added.mock.calls.length - removed.mock.calls.length
}

const stops: (() => unknown)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

/** A while after the first event of a kind, or after the beginning: on a loaded machine the stages take longer. */
const atRandom = (draw: Draw) => (events: Observable<TaskEvent<unknown>>) => {
  const stage = pick<'begun' | TaskEvent<unknown>['_tag']>(
    draw,
    [
      [0.6, 'begun'],
      [0.2, 'Created']
    ],
    'Polled'
  )
  const from: Observable<unknown> =
    stage === 'begun'
      ? of(stage)
      : events.pipe(
          filter(({ _tag }) => _tag === stage),
          take(1)
        )
  return from.pipe(delay(6 * draw() ** 3))
}

/** The handles that were not there before. */
const since = (before: ReadonlyArray<string>): ReadonlyArray<string> => {
  const left = [...before]
  return handles().filter((name) => {
    const at = left.indexOf(name)
    if (at >= 0) left.splice(at, 1)
    return at < 0
  })
}

const PATIENCE_MS = 20_000

/** Waits, however loaded the machine is, until it is so; not for ever, as what is so then tells more than a timeout. */
const until = async (isSo: () => boolean): Promise<void> => {
  const start = Date.now()
  while (!isSo() && Date.now() - start < PATIENCE_MS) await new Promise((resolve) => setImmediate(resolve))
}

describe('10,000 callers of one solver', () => {
  it(`leave nothing behind when they leave at random instants of the seed ${seed}`, async () => {
    const emulator = await start({ seed, latencyMs: 2, readyAfterMs: [0, 500] })
    const [sockets, warned, listening, handlesBefore] = [connections(), warnings(), listeners(), handles()]
    const leaveWhen = atRandom(drawsOf(seed))
    let leftListening = Infinity
    const beforeClose = (): void => {
      leftListening = listening()
    }
    const rushed = await rush(emulator, { count: 10_000, concurrency: 100, leaveWhen, beforeClose, pollEveryMs: 5 })
    // The other end of a connection is closed by the emulator, which hears of it a moment later.
    await until(() => since(handlesBefore).length === 0)

    expect(rushed.broken).toStrictEqual([])
    expect(since(handlesBefore)).toStrictEqual([])
    expect(sockets.filter(({ destroyed }) => !destroyed)).toHaveLength(0)
    expect([leftListening, listening()]).toStrictEqual([0, 0])
    expect(rushed.orphans).toBeGreaterThan(1_000)
    expect(warned).toStrictEqual([])
  }, 60_000)
})
