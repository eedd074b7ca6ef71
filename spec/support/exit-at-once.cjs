// Node frees the heap of a worker of jest before the process ends. That takes longer than jest waits.
if (process.send) process.once('exit', () => process.exit())
