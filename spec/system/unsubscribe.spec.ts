import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { delay, filter, of, take, type Observable } from 'rxjs'
import type { TaskEvent } from 'rx-captcha'
import { drawsOf, pick, type Draw } from '../support/chaos/seeded.js'
import { emulators } from '../support/raw-http.js'
import { runLoad } from '../support/load.js'
import { handles } from '../support/solvers.js'
import { longRunOf } from '../support/long-run.js'

const start = emulators()
const { count, seed, timeoutMs } = longRunOf('LOAD', 500)

const isConnected = (message: unknown): message is { readonly socket: Socket } =>
  typeof message === 'object' && message !== null && 'socket' in message

/** Collects all connections that undici makes until the test is over. */
const connections = (): ReadonlyArray<Socket> => {
  const sockets: Socket[] = []
  const record = (message: unknown): void => {
    if (isConnected(message)) sockets.push(message.socket)
  }
  subscribe('undici:client:connected', record)
  stops.push(() => unsubscribe('undici:client:connected', record))
  return sockets
}

/** Collects the warnings of the process until the test is over; one of them reports too many listeners. */
const warnings = (): ReadonlyArray<string> => {
  const seen: string[] = []
  const record = ({ name }: Error): void => void seen.push(name)
  process.on('warning', record)
  stops.push(() => process.off('warning', record))
  return seen
}

/** Counts the listeners that are added and not removed from now on: those of every EventTarget, and of the process. */
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

/** Emits a short time after the start, or after the first event of a kind, because a loaded machine gets there later. */
const atRandom = (draw: Draw) => (events: Observable<TaskEvent<unknown>>) => {
  const stage = pick<'start' | TaskEvent<unknown>['_tag']>(
    draw,
    [
      [0.6, 'start'],
      [0.2, 'Created']
    ],
    'Polled'
  )
  const from: Observable<unknown> =
    stage === 'start'
      ? of(stage)
      : events.pipe(
          filter(({ _tag }) => _tag === stage),
          take(1)
        )
  return from.pipe(delay(6 * draw() ** 3))
}

/** The handles that did not exist before. */
const newHandles = (before: ReadonlyArray<string>): ReadonlyArray<string> => {
  const old = [...before]
  return handles().filter((name) => {
    const at = old.indexOf(name)
    if (at >= 0) old.splice(at, 1)
    return at < 0
  })
}

const MAX_WAIT_MS = 20_000

/** Waits for a condition, but not without end, because a failed assertion says more than a timeout. */
const until = async (holds: () => boolean): Promise<void> => {
  const start = Date.now()
  while (!holds() && Date.now() - start < MAX_WAIT_MS) await new Promise((resolve) => setTimeout(resolve, 1))
}

describe(`${count} subscribers of one solver`, () => {
  it(
    `leave no connection, timer or listener behind if they unsubscribe at random times of the seed ${seed}`,
    async () => {
      const emulator = await start({ seed, latencyMs: 2, readyAfterMs: [0, 500] })
      const [sockets, warned, countListeners, handlesBefore] = [connections(), warnings(), listeners(), handles()]
      const unsubscribeWhen = atRandom(drawsOf(seed))
      let listenersBeforeClose = Infinity
      const beforeClose = (): void => {
        listenersBeforeClose = countListeners()
      }
      const load = { count, concurrency: 100, unsubscribeWhen, beforeClose, pollEveryMs: 5 }
      const { violations, orphans } = await runLoad(emulator, load)
      // The emulator closes its end of a connection a moment after the client.
      await until(() => newHandles(handlesBefore).length === 0)

      expect(violations).toStrictEqual([])
      expect(newHandles(handlesBefore)).toStrictEqual([])
      expect(sockets.filter(({ destroyed }) => !destroyed)).toHaveLength(0)
      expect([listenersBeforeClose, countListeners()]).toStrictEqual([0, 0])
      expect(orphans).toBeGreaterThan(count / 10)
      expect(warned).toStrictEqual([])
    },
    timeoutMs
  )
})
