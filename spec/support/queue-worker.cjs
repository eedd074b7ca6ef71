// A worker of a queue, in a process of its own. Arguments: the folder of a build, and the settings as JSON. It prints "ready",
// "active" with the id of each job that it begins, and "closed" once it was closed by SIGTERM.
const { createRequire } = require('node:module')
const { join } = require('node:path')

const [, , build, json] = process.argv
const { queueName, connection, solverOptions, workerOptions, taskOptions, graceMs } = JSON.parse(json)
const load = createRequire(join(build, 'package.json'))
const { Queue, Worker } = load('bullmq')
const { createSolver, recaptchaV2 } = load('./dist/index.js')
const { superviseWorker, taskProcessor, taskWorkerOptions } = load('./dist/bullmq/index.js')

const ignore = () => undefined
const solver = createSolver(solverOptions)
const queue = new Queue(queueName, { connection })
const toTask = (websiteURL) => recaptchaV2({ websiteURL, websiteKey: 'site-key' })
const processor = taskProcessor(solver, { queue, toTask })
const worker = new Worker(queueName, processor, {
  connection,
  ...taskWorkerOptions(taskOptions),
  ...workerOptions
})
// Redis may be away in a test.
queue.on('error', ignore)
worker.on('error', ignore)
const { close } = superviseWorker(worker, processor)
worker.on('ready', () => console.log('ready'))
worker.on('active', ({ id }) => console.log(`active ${id}`))
process.once('SIGTERM', async () => {
  await close({ graceMs })
  await queue.close()
  console.log('closed')
})
