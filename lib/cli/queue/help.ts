const REDIS_PASSWORD = `Put an address with a password into RX_CAPTCHA_REDIS_URL: other users of the
machine can see the arguments of a command. Needs: npm install bullmq ioredis`

/** What the help of `worker` says about queues, crashes and signals. */
export const WORKER_HELP = `Solves the tasks that rx-captcha batch --queue NAME FILE submits, or your own
program. Start as many workers as you like, on any machines that reach the same
Redis, which records the ids of paid tasks. If a worker dies, another one
continues its tasks at no further cost, at most --lock-ms and twice
--stalled-check-ms later.
${REDIS_PASSWORD}

--max-open is stored in the queue. It holds for all workers, until a worker is
started with another number.

The queue is paused if the service refuses the account, or if its replies cannot
be read. Then no job is begun until a worker is started with --resume-queue.

After Ctrl-C, SIGTERM or SIGHUP the worker begins no job, and polls its active
tasks for --grace seconds. The tasks that are left go back to the queue, where
another worker continues them. A second signal skips the grace, and a third one
leaves at once.`

export const WORKER_EXIT_HELP = `Exit codes:
  0    stopped by a signal; each job has ended or went back to the queue
  2    wrong usage: an option, or Redis cannot be reached; nothing was paid
  130  left by a third Ctrl-C before that (143 by SIGTERM, 129 by SIGHUP)`

/** What the help of `batch` says about `--queue`. */
export const QUEUE_HELP = `With --queue the workers of that BullMQ queue solve the tasks: see rx-captcha
worker --help. They need the client key, this command does not. --concurrency
is then the number of tasks in the queue at a time (default: 1000).
A queue solves a task once, by its id or else its content, and remembers it for
7 days. Run the same command again to fetch the outcomes that are missing. A
token is handed out once, and only while it is valid.
Ctrl-C submits no more tasks and waits for those in the queue. Ctrl-C again, or
SIGTERM or SIGHUP, stops waiting, and the tasks stay in the queue.
${REDIS_PASSWORD}`
