import { Observable, type SchedulerLike, type Subscription } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import type { SolverEvent } from '../../lib/core/model/event.js'
import { resolveOptions, type CoreOptions } from '../../lib/core/model/options.js'
import type { CallPath, Post } from '../../lib/core/model/network.js'
import type { Solver } from '../../lib/core/solver.js'
import { buildSolver } from '../../lib/core/build-solver.js'
import { recaptchaV2 } from '../../lib/core/model/recaptcha-v2.js'
import { replies, scriptedPost, type Scripted } from '../../lib/testing.js'

export const KEY = 'canary-key-9f8e7d6c'

export const aTask = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: 'site-key' })

export interface Story {
  readonly solver: Solver
  readonly scheduler: TestScheduler
  readonly at: (ms: number, what: () => void) => void
  /** Subscribes, and notes what comes under a name. */
  readonly follow: (source: Observable<unknown>, name?: string) => Subscription
}

/** What happened: calls with their frames, results with theirs, and all events. */
export interface Told {
  readonly calls: string[]
  readonly results: ReadonlyArray<readonly [at: number, name: string, value: unknown]>
  readonly events: SolverEvent[]
  readonly end: number
}

/** Notes when a call begins, is aborted, or is answered. */
const watched =
  (post: Post, scheduler: TestScheduler, calls: string[]): Post =>
  (path, body) =>
    new Observable((subscriber) => {
      let open = true
      calls.push(`${scheduler.now()} ${path.slice(1)}`)
      subscriber.add(
        post(path, body).subscribe({
          next: (wire) => {
            open = wire._tag === 'Sent'
            subscriber.next(wire)
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
        if (open) calls.push(`${scheduler.now()} ${path.slice(1)} aborted`)
      })
    })

/** Runs a solver over a network in virtual time, to the end. */
export const storyOver = (
  network: (scheduler: TestScheduler) => Post,
  act: (story: Story) => void,
  options: Partial<CoreOptions> = {},
  random: () => number = () => 0.5
): Told => {
  const scheduler = new TestScheduler(() => undefined)
  const [calls, results, events]: [string[], [number, string, unknown][], SolverEvent[]] = [[], [], []]
  scheduler.run(() => {
    const post = watched(network(scheduler), scheduler, calls)
    const ports = { post, scheduler, random, close: () => Promise.resolve() }
    const solver = buildSolver(ports, resolveOptions({ clientKey: KEY, ...options }))
    solver.events.subscribe((event) => events.push(event))
    act({
      solver,
      scheduler,
      at: (ms, what) => {
        scheduler.schedule(what, ms)
      },
      follow: (source, name = 'solve') =>
        source.subscribe({
          next: (value) => results.push([scheduler.now(), name, value]),
          error: (error: unknown) => results.push([scheduler.now(), name, { error }]),
          complete: () => results.push([scheduler.now(), name, 'complete'])
        })
    })
  })
  return { calls, results, events, end: scheduler.now() }
}

/** Runs a solver over one script for all tasks. */
export const story = (
  script: Partial<Record<'create' | 'poll', ReadonlyArray<Scripted>>>,
  act: (story: Story) => void,
  options: Partial<CoreOptions> = {},
  random: () => number = () => 0.5
): Told => {
  const paths: Record<CallPath, ReadonlyArray<Scripted>> = {
    '/createTask': script.create ?? [],
    '/getTaskResult': script.poll ?? []
  }
  return storyOver((scheduler) => scriptedPost(paths, scheduler).post, act, options, random)
}

/** What each item meets, by its site key: created at once and ready at the first poll, unless its plan says otherwise. */
export type Plan = Readonly<Record<string, Partial<Record<'create' | 'poll', ReadonlyArray<Scripted>>>>>

const idOf = (key: string): string => `id-${key}`

/** A network in which every item has a script of its own. */
export const planned =
  (plan: Plan = {}) =>
  (scheduler: SchedulerLike): Post => {
    const posts = new Map<string, Post>()
    const postOf = (key: string): Post => {
      const { create = [replies.created(idOf(key))], poll = [replies.ready(`token-${key}`)] } = plan[key] ?? {}
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

/** The task of an item that is known by its site key. */
export const taskOf = (websiteKey: string) => recaptchaV2({ websiteURL: 'https://example.com/', websiteKey })
