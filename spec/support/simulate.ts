import { Observable, type SchedulerLike, type Subscription } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import { buildSolver } from '../../lib/core/build-solver.js'
import type { SolverEvent } from '../../lib/core/model/event.js'
import type { CallPath, Post } from '../../lib/core/model/network.js'
import { resolveOptions, type CoreOptions } from '../../lib/core/model/options.js'
import { recaptchaV2 } from '../../lib/core/model/recaptcha-v2.js'
import type { Solver } from '../../lib/core/solver.js'
import { replies, scriptedPost, type Scripted } from 'rx-captcha/testing'

export const KEY = 'canary-key-9f8e7d6c'

export const aTask = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: 'site-key' })

/** What a test gets to act on. */
export interface Simulation {
  readonly solver: Solver
  readonly scheduler: TestScheduler
  readonly at: (ms: number, act: () => void) => void
  /** Subscribes, and records under a name what the source emits. */
  readonly record: (source: Observable<unknown>, name?: string) => Subscription
}

/** What happened in a simulation: the calls and the results with their times, and all events. */
export interface Trace {
  readonly calls: string[]
  readonly results: ReadonlyArray<readonly [at: number, name: string, value: unknown]>
  readonly events: SolverEvent[]
  readonly end: number
}

/** The tags of events, without those that only a log needs: the start of a solve, and what is known of its calls. */
export const stepsOf = (events: ReadonlyArray<{ readonly _tag: string }>): ReadonlyArray<string> =>
  events.map(({ _tag }) => _tag).filter((tag) => !['Started', 'CreateSent', 'CreateEnded', 'PollEnded'].includes(tag))

type Script = Partial<Record<'create' | 'poll', ReadonlyArray<Scripted>>>

/** Runs a solver in virtual time, until nothing is scheduled any more; one script serves all tasks. */
export const simulate = (
  script: Script,
  act: (simulation: Simulation) => void,
  options: Partial<CoreOptions> = {},
  random: () => number = () => 0.5
): Trace => {
  const paths: Record<CallPath, ReadonlyArray<Scripted>> = {
    '/createTask': script.create ?? [],
    '/getTaskResult': script.poll ?? []
  }
  return simulateOver((scheduler) => scriptedPost(paths, scheduler).post, act, options, random)
}

/** As {@link simulate}, over any network. */
export const simulateOver = (
  network: (scheduler: TestScheduler) => Post,
  act: (simulation: Simulation) => void,
  options: Partial<CoreOptions> = {},
  random: () => number = () => 0.5
): Trace => {
  const scheduler = new TestScheduler(() => undefined)
  const [calls, results, events]: [string[], [number, string, unknown][], SolverEvent[]] = [[], [], []]
  scheduler.run(() => {
    const post = logged(network(scheduler), scheduler, calls)
    const ports = { post, scheduler, random, close: () => Promise.resolve() }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY, ...options }))
    solver.events.subscribe((event) => events.push(event))
    act({
      solver,
      scheduler,
      at: (ms, act) => {
        scheduler.schedule(act, ms)
      },
      record: (source, name = 'solve') =>
        source.subscribe({
          next: (value) => results.push([scheduler.now(), name, value]),
          error: (error: unknown) => results.push([scheduler.now(), name, { error }]),
          complete: () => results.push([scheduler.now(), name, 'complete'])
        })
    })
  })
  return { calls, results, events, end: scheduler.now() }
}

/** Logs the start of each call, and whether it was aborted. */
const logged =
  (post: Post, scheduler: TestScheduler, calls: string[]): Post =>
  (path, body) =>
    new Observable((subscriber) => {
      let isOpen = true
      calls.push(`${scheduler.now()} ${path.slice(1)}`)
      subscriber.add(
        post(path, body).subscribe({
          next: (event) => {
            isOpen = event._tag === 'Sent'
            subscriber.next(event)
          },
          error: (error: unknown) => {
            subscriber.error(error)
          },
          complete: () => {
            subscriber.complete()
          }
        })
      )
      subscriber.add(() => {
        if (isOpen) calls.push(`${scheduler.now()} ${path.slice(1)} aborted`)
      })
    })

/** Scripts by site key. A key without one is created at once, and ready at the first poll. */
export type ScriptsByKey = Readonly<Record<string, Script>>

/** A network with a script for each site key. */
export const scriptedByKey =
  (scripts: ScriptsByKey = {}) =>
  (scheduler: SchedulerLike): Post => {
    const posts = new Map<string, Post>()
    const postOf = (key: string): Post => {
      const { create = [replies.created(idOf(key))], poll = [replies.ready(`token-${key}`)] } = scripts[key] ?? {}
      const post = posts.get(key) ?? scriptedPost({ '/createTask': create, '/getTaskResult': poll }, scheduler).post
      posts.set(key, post)
      return post
    }
    return (path, body) => {
      const text = JSON.stringify(body)
      const [, key = ''] = /"websiteKey":"([^"]+)"/.exec(text) ?? /"taskId":"id-([^"]+)"/.exec(text) ?? []
      return postOf(key)(path, body)
    }
  }

const idOf = (key: string): string => `id-${key}`

/** A task with a site key. */
export const taskOf = (websiteKey: string) => recaptchaV2({ websiteURL: 'https://example.com/', websiteKey })
