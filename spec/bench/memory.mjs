// A network in memory, for what the library costs without one.
import { getHeapStatistics } from 'node:v8'
import { Observable } from 'rxjs'

const SENT = { _tag: 'Sent' }

export const reply = (document) => ({ _tag: 'Reply', status: 200, body: JSON.stringify(document) })
export const PROCESSING = reply({ errorId: 0, status: 'processing' })
export const READY = reply({ errorId: 0, status: 'ready', solution: { gRecaptchaResponse: 'a' } })

/** Answers in the next turn of the event loop, all calls of a turn together. */
export const inMemory = (answerTo) => {
  let waiting = []
  const answerAll = () => {
    const calls = waiting
    waiting = []
    for (const { path, body, subscriber } of calls) {
      subscriber.next(answerTo(path, body))
      subscriber.complete()
    }
  }
  return (path, body) =>
    new Observable((subscriber) => {
      subscriber.next(SENT)
      if (waiting.push({ path, body, subscriber }) === 1) setImmediate(answerAll)
    })
}

/** Heap in use once all that can go is gone. */
export const heapUsed = () => {
  global.gc()
  global.gc()
  return getHeapStatistics().used_heap_size
}
