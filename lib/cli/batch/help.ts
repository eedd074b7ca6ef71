/** What the help of `batch` says about its input, its output and crashes. */
export const BATCH_HELP = `Input: one JSON object per line, {"websiteURL":"…","websiteKey":"…"}, optionally
with "isInvisible" and "id"; or CSV with these columns; in UTF-8 or UTF-16.
A bad record is reported by its line, and no task is created for it.
Output: one line of JSON per task, in the order in which they end:
{"index":0,"ok":true,"taskId":"…","gRecaptchaResponse":"…",…}
{"index":0,"ok":false,"error":{…},"message":"…"}

With --out or --journal a batch can be continued: run the same command again.
A task is recognized by its id, or else by its content. Finished tasks are
skipped, and paid tasks are resumed. A crash, even kill -9, loses no paid task
and pays for none twice.

Ctrl-C stops reading the input and finishes the active tasks. Ctrl-C again, or
SIGTERM or SIGHUP, stops now; a later run resumes the active tasks.`

export const BATCH_EXIT_HELP = `Exit codes, the highest that applies:
  0    all tasks are solved, in this run or before
  1    some failed, and nothing was paid for them, such as a bad input record;
       or the batch stopped before the end of the input (--max-tasks)
  2    wrong usage: an option, or a file that cannot be opened; nothing was paid
  3    some failed, but paid: the service ended them, or they can be resumed
  4    some failed, perhaps paid: createTask was sent, no task id could be read
  130  stopped by Ctrl-C before the end (143 by SIGTERM, 129 by SIGHUP)`
