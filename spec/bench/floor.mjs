// What is left when everything but the exchanges and the waits is taken away: a promise loop on undici's dispatch, without
// checks, limits, errors or leaving. All of its requests use kept connections, also when the server may be closing them.
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
  const agent = new Agent()
  const exchange = (path, body) =>
    new Promise((resolve, reject) => {
      const limits = { headersTimeout: 0, bodyTimeout: 0 }
      const request = { origin: baseUrl, path, method: 'POST', headers: HEADERS, reset: false, ...limits }
      agent.dispatch({ ...request, body: JSON.stringify(body) }, new Exchange(resolve, reject))
    })
  const solve = async (websiteURL, websiteKey) => {
    const task = { type: 'RecaptchaV2TaskProxyless', websiteURL, websiteKey }
    const { taskId } = await exchange('/createTask', { clientKey: 'a-client-key', task })
    for (;;) {
      await sleep(pollEveryMs)
      const { status, solution } = await exchange('/getTaskResult', { clientKey: 'a-client-key', taskId })
      if (status === 'ready') return solution.gRecaptchaResponse
    }
  }
  return {
    start: (websiteURL, websiteKey, done) => void solve(websiteURL, websiteKey).then(done, done),
    close: () => agent.destroy()
  }
}
