/** What the help of `batch` says about its input, its output and crashes. */
export const BATCH_HELP = `Input: one JSON object per line, {"websiteURL":"…","websiteKey":"…"}, optionally
with "isInvisible" and "id"; or CSV with these columns; in UTF-8 or UTF-16.
A bad record is reported by its line, and no task is created for it.
Output: one line of JSON per task, in the order in which they end:
{"index":0,"ok":true,"taskId":"…","gRecaptchaResponse":"…",…}
{"index":0,"ok":false,"error":{…},"message":"…"}

With --out or --journal a batch can be continued: run the same command again.
A task is recognized by its id, or by its content if it has no id. Finished
tasks are skipped, and paid tasks are resumed. Even after a crash or kill -9 no
task whose id has arrived is lost or paid for twice. If the id did not arrive,
the task is paid for again only with --retry-failed.

Ctrl-C stops reading the input and finishes the active tasks. Ctrl-C again, or
SIGTERM or SIGHUP, stops now. With --out or --journal the next run resumes the
active tasks; without, each line of the output says how.`

export const BATCH_EXIT_HELP = `Exit codes, the highest that applies:
  0    all tasks are solved, in this run or an earlier one
  1    some failed without payment, for example because of a bad input record;
       or the batch stopped before the end of the input (--max-tasks)
  2    usage error: a bad option or an unusable file; nothing was paid
  3    some failed after payment: ended by the service, or they can be resumed
  4    some failed, maybe paid: createTask was sent, but no task id was read
  130  stopped by Ctrl-C before the end (143 by SIGTERM, 129 by SIGHUP)`
