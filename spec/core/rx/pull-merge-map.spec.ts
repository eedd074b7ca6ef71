import { NEVER, Subject } from 'rxjs'
import { pullMergeMap } from '../../../lib/core/rx/pull-merge-map.js'

describe('a run', () => {
  it('leaves its items once, though it stopped taking before it was left itself', () => {
    const end = jest.fn(() => ({ done: true, value: undefined }))
    const items = { [Symbol.iterator]: () => ({ next: () => ({ done: false, value: 'a' }), return: end }) }
    const until = new Subject<void>()
    const working = pullMergeMap({ items, concurrency: 1, project: () => NEVER, takeUntil: until }).subscribe()
    until.next()
    working.unsubscribe()

    expect(end).toHaveBeenCalledTimes(1)
  })
})
