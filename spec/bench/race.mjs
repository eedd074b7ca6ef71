// How many createTask requests are lost to a server that closes idle connections: `node spec/bench/race.mjs`, after a build.
// Bursts of requests leave connections idle, and come again about when the server closes them. Prints a row for each idle time.
import { once } from 'node:events'
import { createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { lastValueFrom, from, mergeMap, toArray } from 'rxjs'
import { createSolver, recaptchaV2 } from '../../dist/index.js'

const BURST = 200
const REPLY = '{"errorId":0,"taskId":"id-1"}'
const RESPONSE = `HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ${REPLY.length}\r\n\r\n${REPLY}`

const task = recaptchaV2({ websiteURL: 'https://example.com/', websiteKey: 'a-site-key' })

/** A server that closes a connection, without notice, when it was idle for so long. */
const serve = async (idleMs) => {
  const seen = { requests: 0, connections: 0 }
  const server = createServer((socket) => {
    seen.connections += 1
    let timer = setTimeout(() => socket.end(), idleMs)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      if (!bytes.toString('latin1').endsWith('}')) return
      seen.requests += 1
      clearTimeout(timer)
      timer = setTimeout(() => socket.end(), idleMs)
      socket.write(RESPONSE)
    })
    socket.on('close', () => clearTimeout(timer))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { seen, baseUrl: `http://127.0.0.1:${server.address().port}`, close: () => server.close() }
}

const race = async (idleMs, creates) => {
  const { seen, baseUrl, close } = await serve(idleMs)
  const solver = createSolver({ clientKey: 'a-client-key', baseUrl })
  let lost = 0
  for (let sent = 0; sent < creates; sent += BURST) {
    const burst = from(Array(BURST).keys()).pipe(
      mergeMap(() => solver.createTask(task)),
      toArray()
    )
    const results = await lastValueFrom(burst)
    lost += results.filter(({ _tag }) => _tag === 'Left').length
    // About when the server closes what is idle, or when the library thinks of it as warm.
    const aroundMs = Math.random() < 0.5 ? idleMs : 500
    await sleep(Math.max(0, aroundMs + (Math.random() - 0.5) * 20))
  }
  await solver.close()
  close()
  return { idleMs, creates, lost, ...seen }
}

const [creates = '50000', ...idleTimes] = process.argv.slice(2)
for (const idleMs of idleTimes.length > 0 ? idleTimes : [100, 300, 1_000, 2_000]) {
  console.log(JSON.stringify(await race(Number(idleMs), Number(creates))))
}
