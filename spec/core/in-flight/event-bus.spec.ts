import { VirtualTimeScheduler } from 'rxjs'
import type { Orphan } from '../../../lib/core/model/event.js'
import { recaptchaV2 } from '../../../lib/core/model/recaptcha-v2.js'
import { EventBus } from '../../../lib/core/in-flight/event-bus.js'

const orphan = (nth: number, label?: string): Orphan => ({
  ref: { taskId: `task-${nth}`, createdAt: 0 },
  task: recaptchaV2,
  ...(label !== undefined && { label })
})

const setUp = () => {
  const scheduler = new VirtualTimeScheduler()
  const bus = new EventBus({ scheduler, elapsed: () => scheduler.now() })
  const subscribe = () => {
    const received: string[] = []
    bus.orphans.subscribe({ next: ({ ref }) => received.push(ref.taskId), complete: () => received.push('end') })
    return received
  }
  return { scheduler, bus, subscribe }
}

describe('events', () => {
  it('carry the time of the scheduler', () => {
    const { scheduler, bus } = setUp()
    const seen: unknown[] = []
    bus.events.subscribe((event) => seen.push(event))
    scheduler.schedule(() => bus.emit({ solveId: 1 }, { _tag: 'AssumedNotCreated', status: 503 }), 70)
    scheduler.flush()
    expect(seen).toStrictEqual([{ at: 70, solveId: 1, _tag: 'AssumedNotCreated', status: 503 }])
  })

  it('carry a label if there is one, an empty one too', () => {
    const { bus } = setUp()
    expect(bus.emit({ label: '', solveId: 1 }, { _tag: 'AssumedNotCreated', status: 503 })).toStrictEqual({
      at: 0,
      label: '',
      solveId: 1,
      _tag: 'AssumedNotCreated',
      status: 503
    })
  })

  it('go to every subscriber, and are not buffered', () => {
    const { bus } = setUp()
    const seen: string[] = []
    bus.emit({ solveId: 1 }, { _tag: 'AssumedNotCreated', status: 503 })
    bus.events.subscribe(({ _tag }) => seen.push(`1 ${_tag}`))
    bus.events.subscribe(({ _tag }) => seen.push(`2 ${_tag}`))
    bus.emit({ solveId: 1 }, { _tag: 'Created', ref: orphan(1).ref })
    expect(seen).toStrictEqual(['1 Created', '2 Created'])
  })

  it('include each orphan, with its label', () => {
    const { bus } = setUp()
    const seen: unknown[] = []
    bus.events.subscribe((event) => seen.push(event))
    bus.emitOrphan({ label: 'mine', solveId: 1 }, orphan(1, 'mine'))
    expect(seen).toStrictEqual([{ at: 0, label: 'mine', solveId: 1, _tag: 'Orphaned', orphan: orphan(1, 'mine') }])
  })

  it('complete with the bus', () => {
    const { bus } = setUp()
    const complete = jest.fn()
    bus.events.subscribe({ complete })
    bus.complete()
    expect(complete).toHaveBeenCalledTimes(1)
  })
})

describe('orphans', () => {
  it('are buffered in their order for the first subscriber', () => {
    const { bus, subscribe } = setUp()
    bus.emitOrphan({ solveId: 1 }, orphan(1))
    bus.emitOrphan({ solveId: 1 }, orphan(2))
    const first = subscribe()
    const second = subscribe()
    bus.emitOrphan({ solveId: 1 }, orphan(3))
    expect([first, second]).toStrictEqual([['task-1', 'task-2', 'task-3'], ['task-3']])
  })

  it('are buffered again when the last subscriber has unsubscribed', () => {
    const { bus, subscribe } = setUp()
    bus.orphans.subscribe().unsubscribe()
    bus.emitOrphan({ solveId: 1 }, orphan(1))
    expect(subscribe()).toStrictEqual(['task-1'])
  })

  it('reach a subscriber that is still receiving the buffered ones', () => {
    const { bus } = setUp()
    const received: string[] = []
    bus.emitOrphan({ solveId: 1 }, orphan(1))
    bus.orphans.subscribe(({ ref }) => {
      received.push(ref.taskId)
      if (received.length === 1) bus.emitOrphan({ solveId: 1 }, orphan(2))
    })
    expect(received).toStrictEqual(['task-1', 'task-2'])
  })

  it('are buffered up to the newest 1,000', () => {
    const { bus, subscribe } = setUp()
    for (let nth = 1; nth <= 1_002; nth += 1) bus.emitOrphan({ solveId: 1 }, orphan(nth))
    const received = subscribe()
    expect([received.length, received[0], received.at(-1)]).toStrictEqual([1_000, 'task-3', 'task-1002'])
  })

  it('can be collected once if nothing has subscribed', () => {
    const { bus, subscribe } = setUp()
    bus.emitOrphan({ solveId: 1 }, orphan(1))
    expect(bus.takeCollected()).toStrictEqual([orphan(1)])
    expect([bus.takeCollected(), subscribe()]).toStrictEqual([[], []])
  })

  it('are also collected after they were delivered, from collectOrphans on', () => {
    const { bus, subscribe } = setUp()
    const received = subscribe()
    bus.emitOrphan({ solveId: 1 }, orphan(1))
    bus.collectOrphans()
    bus.emitOrphan({ solveId: 1 }, orphan(2))
    expect(received).toStrictEqual(['task-1', 'task-2'])
    expect(bus.takeCollected()).toStrictEqual([orphan(2)])
  })

  it('complete with the bus, after the buffered ones', () => {
    const { bus, subscribe } = setUp()
    const early = subscribe()
    bus.complete()
    expect([early, subscribe()]).toStrictEqual([['end'], ['end']])
  })
})
