// What is left when everything but the exchanges and the waits is taken away: a promise loop on undici's dispatch, without
// checks, limits, errors or leaving. Its connections are those of the library: creates on fresh ones, polls on kept ones.
import { setTimeout as sleep } from 'node:timers/promises'
import { Agent } from 'undici'

const HEADERS = {
  'content-type': 'application/json',
  accept: 'application/json',
  'accept-encoding': 'gzip',
  'user-agent': 'floor'
}

class Exchange {
  #chunks = []

  constructor(resolve, reject) {
    this.resolve = resolve
    this.reject = reject
  }

  onRequestStart() {}
  onResponseStart() {}

  onResponseData(_, chunk) {
    this.#chunks.push(chunk)
  }

  onResponseEnd() {
    this.resolve(JSON.parse(Buffer.concat(this.#chunks).toString()))
  }

  onResponseError(_, error) {
    this.reject(error)
  }
}

/** @type {import('./client.mjs').Open} */
export const openFloor = ({ baseUrl, pollEveryMs }) => {
  const [create, poll] = [new Agent(), new Agent()]
  const exchange = (dispatcher, path, reset, body) =>
    new Promise((resolve, reject) => {
      const limits = { headersTimeout: 0, bodyTimeout: 0 }
      const request = { origin: baseUrl, path, method: 'POST', headers: HEADERS, reset, ...limits }
      dispatcher.dispatch({ ...request, body: JSON.stringify(body) }, new Exchange(resolve, reject))
    })
  const solve = async (websiteURL, websiteKey) => {
    const task = { type: 'RecaptchaV2TaskProxyless', websiteURL, websiteKey }
    const { taskId } = await exchange(create, '/createTask', true, { clientKey: 'a-client-key', task })
    for (;;) {
      await sleep(pollEveryMs)
      const { status, solution } = await exchange(poll, '/getTaskResult', false, { clientKey: 'a-client-key', taskId })
      if (status === 'ready') return solution.gRecaptchaResponse
    }
  }
  return {
    start: (websiteURL, websiteKey, done) => void solve(websiteURL, websiteKey).then(done, done),
    close: () => Promise.all([create.destroy(), poll.destroy()])
  }
}
