// Workers of queues, one after another, in a process of its own. Argument: the folder of a build. The parent sends the settings of
// a worker, and `close` before the next ones. The process sends `ready`, the id of each job that begins, and `closed`. SIGTERM
// closes the worker, and the process ends.
const { createRequire } = require('node:module')
const { join } = require('node:path')

const load = createRequire(join(process.argv[2], 'package.json'))
const { Queue, Worker } = load('bullmq')
const { createSolver, recaptchaV2 } = load('./dist/index.js')
const { superviseWorker, taskProcessor, taskWorkerOptions } = load('./dist/bullmq/index.js')

const ignore = () => undefined
const toTask = (websiteURL) => recaptchaV2({ websiteURL, websiteKey: 'site-key' })
// The parent may be gone.
const send = (message) => process.connected && process.send(message, ignore)

const start = ({ queueName, connection, reconnectMs, solverOptions, workerOptions, taskOptions, graceMs }) => {
  const shared = { connection: { ...connection, ...(reconnectMs && { retryStrategy: () => reconnectMs }) } }
  const queue = new Queue(queueName, shared)
  const processor = taskProcessor(createSolver(solverOptions), { queue, toTask })
  const worker = new Worker(queueName, processor, { ...shared, ...taskWorkerOptions(taskOptions), ...workerOptions })
  // Redis may be away in a test.
  queue.on('error', ignore)
  worker.on('error', ignore)
  const { close } = superviseWorker(worker, processor)
  worker.on('ready', () => send({ ready: true }))
  worker.on('active', ({ id }) => send({ active: id }))
  return async () => {
    await close({ graceMs })
    await queue.close()
  }
}

let close = async () => undefined
process.on('message', async (message) => {
  if (message !== 'close') return (close = start(message))
  await close()
  send({ closed: true })
})
process.once('SIGTERM', async () => {
  await close()
  process.disconnect()
})
