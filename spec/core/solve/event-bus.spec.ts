import { VirtualTimeScheduler } from 'rxjs'
import type { Orphan } from '../../../lib/core/model/event.js'
import { EventBus } from '../../../lib/core/solve/event-bus.js'
import { recaptchaV2 } from '../../../lib/core/model/task.js'

const orphan = (nth: number, label?: string): Orphan => ({
  ref: { taskId: `task-${nth}`, createdAt: 0 },
  task: recaptchaV2,
  ...(label !== undefined && { label })
})

const opened = () => {
  const scheduler = new VirtualTimeScheduler()
  const news = new EventBus(scheduler)
  const listen = () => {
    const heard: string[] = []
    news.orphans.subscribe({ next: ({ ref }) => heard.push(ref.taskId), complete: () => heard.push('end') })
    return heard
  }
  return { scheduler, news, listen }
}

describe('events', () => {
  it('are stamped with the time of the scheduler', () => {
    const { scheduler, news } = opened()
    const seen: unknown[] = []
    news.events.subscribe((event) => seen.push(event))
    scheduler.schedule(() => news.emit(undefined, { _tag: 'AssumedNotCreated', status: 503 }), 70)
    scheduler.flush()
    expect(seen).toStrictEqual([{ at: 70, _tag: 'AssumedNotCreated', status: 503 }])
  })

  it('carry a label where there is one, an empty one too', () => {
    const { news } = opened()
    expect(news.emit('', { _tag: 'AssumedNotCreated', status: 503 })).toStrictEqual({
      at: 0,
      label: '',
      _tag: 'AssumedNotCreated',
      status: 503
    })
  })

  it('go to everybody who listens, and are not kept', () => {
    const { news } = opened()
    const seen: string[] = []
    news.emit(undefined, { _tag: 'AssumedNotCreated', status: 503 })
    news.events.subscribe(({ _tag }) => seen.push(`1 ${_tag}`))
    news.events.subscribe(({ _tag }) => seen.push(`2 ${_tag}`))
    news.emit(undefined, { _tag: 'Created', ref: orphan(1).ref })
    expect(seen).toStrictEqual(['1 Created', '2 Created'])
  })

  it('tell of each orphan, with its label', () => {
    const { news } = opened()
    const seen: unknown[] = []
    news.events.subscribe((event) => seen.push(event))
    news.orphan(orphan(1, 'mine'))
    expect(seen).toStrictEqual([{ at: 0, label: 'mine', _tag: 'Orphaned', orphan: orphan(1, 'mine') }])
  })

  it('complete at the end', () => {
    const { news } = opened()
    const complete = jest.fn()
    news.events.subscribe({ complete })
    news.complete()
    expect(complete).toHaveBeenCalledTimes(1)
  })
})

describe('orphans', () => {
  it('are kept for the first who listens, in their order', () => {
    const { news, listen } = opened()
    news.orphan(orphan(1))
    news.orphan(orphan(2))
    const first = listen()
    const second = listen()
    news.orphan(orphan(3))
    expect([first, second]).toStrictEqual([['task-1', 'task-2', 'task-3'], ['task-3']])
  })

  it('are kept again when nobody listens any more', () => {
    const { news, listen } = opened()
    news.orphans.subscribe().unsubscribe()
    news.orphan(orphan(1))
    expect(listen()).toStrictEqual(['task-1'])
  })

  it('are lost to nobody who comes while they are handed out', () => {
    const { news } = opened()
    const heard: string[] = []
    news.orphan(orphan(1))
    news.orphans.subscribe(({ ref }) => {
      heard.push(ref.taskId)
      if (heard.length === 1) news.orphan(orphan(2))
    })
    expect(heard).toStrictEqual(['task-1', 'task-2'])
  })

  it('are kept up to the newest 1,000', () => {
    const { news, listen } = opened()
    for (let nth = 1; nth <= 1_002; nth += 1) news.orphan(orphan(nth))
    const heard = listen()
    expect([heard.length, heard[0], heard.at(-1)]).toStrictEqual([1_000, 'task-3', 'task-1002'])
  })

  it('can be taken once', () => {
    const { news, listen } = opened()
    news.orphan(orphan(1))
    expect(news.takeUndelivered()).toStrictEqual([orphan(1)])
    expect([news.takeUndelivered(), listen()]).toStrictEqual([[], []])
  })

  it('complete at the end, after those that nobody has heard of', () => {
    const { news, listen } = opened()
    const early = listen()
    news.complete()
    expect([early, listen()]).toStrictEqual([['end'], ['end']])
  })
})
