import { Subject, from, of, takeUntil } from 'rxjs'
import type { Journal } from '../../../lib/core/model/journal.js'
import type { NetworkEvent, Post } from '../../../lib/core/model/network.js'
import type { Orphan } from '../../../lib/core/model/event.js'
import { replies } from 'rx-captcha/testing'
import { aTask, scriptedByKey, simulate, simulateOver, taskOf } from '../../support/simulate.js'

const fresh = of({ _tag: 'Fresh' } as const)
const emptyJournal: Journal = { begin: () => fresh, created: () => of(undefined), ended: () => of(undefined) }

describe('unsubscribing synchronously, while a task is being subscribed to,', () => {
  it.each(['toTask', 'keyOf', 'find', 'Started'])('from a batch, in %s, sends nothing', (place) => {
    const stop = new Subject<void>()
    const stopIn = <A>(where: string, value: A): A => {
      if (where === place) stop.next()
      return value
    }
    const { calls } = simulateOver(scriptedByKey(), ({ solver, record }) => {
      solver.events.subscribe(({ _tag }) => stopIn(_tag, undefined))
      const batch = solver.solveAll(['a', 'b'], (key) => stopIn('toTask', taskOf(key)), {
        journal: { ...emptyJournal, find: () => stopIn('find', fresh) },
        keyOf: (key) => stopIn('keyOf', key)
      })
      record(batch.pipe(takeUntil(stop)))
    })
    expect(calls).toStrictEqual([])
  })

  it('from solveWithProgress, on Started, sends nothing', () => {
    const stop = new Subject<void>()
    const { calls } = simulate({ create: [replies.created()] }, ({ solver, record }) => {
      solver.events.subscribe(({ _tag }) => _tag === 'Started' && stop.next())
      record(solver.solveWithProgress(aTask).pipe(takeUntil(stop)))
    })
    expect(calls).toStrictEqual([])
  })

  it.each(['close', 'unsubscribe'])('by `%s` in `begin` of a journal with `find` sends nothing', (what) => {
    const stop = new Subject<void>()
    let counts: unknown
    const { calls } = simulateOver(scriptedByKey(), ({ solver, record, at }) => {
      const begin = () => {
        if (what === 'close') void solver.close()
        else stop.next()
        return fresh
      }
      const journal: Journal = { ...emptyJournal, find: () => fresh, begin }
      record(solver.solveAll(['a'], taskOf, { journal, keyOf: (key) => key }).pipe(takeUntil(stop)))
      at(9_000, () => (counts = solver.counts()))
    })
    expect({ calls, counts }).toStrictEqual({ calls: [], counts: { open: 0, waiting: 0 } })
  })

  const body = '{"errorId":0,"taskId":"id-1"}'
  const atOnce: () => Post = () => () => from<NetworkEvent[]>([{ _tag: 'Sent' }, { _tag: 'Reply', status: 200, body }])
  it.each(['CreateSent', 'CreateEnded'])('on %s of a post that replies at once makes an orphan', (tag) => {
    const stop = new Subject<void>()
    const orphans: Orphan[] = []
    simulateOver(atOnce, ({ solver, record }) => {
      solver.orphans.subscribe((orphan) => orphans.push(orphan))
      solver.events.subscribe(({ _tag }) => _tag === tag && stop.next())
      record(solver.solve(aTask).pipe(takeUntil(stop)))
    })
    expect(orphans).toMatchObject([{ ref: { taskId: 'id-1' } }])
  })
})
