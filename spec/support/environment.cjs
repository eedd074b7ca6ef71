const { AsyncLocalStorage } = require('node:async_hooks')
const { TestEnvironment } = require('jest-environment-node')

// Jest runs each file of tests in an AsyncLocalStorage of its own, and never disables it. Every promise of the files after it
// would be entered in it, too.
const used = new Set()
const { run } = AsyncLocalStorage.prototype
AsyncLocalStorage.prototype.run = function (...args) {
  used.add(this)
  return run.apply(this, args)
}

// Jest sets 100, and maps each frame to its source when a stream reads the stack of its error. Node's own limit is 10.
const STACK_FRAMES = 10

module.exports = class extends TestEnvironment {
  async setup() {
    await super.setup()
    for (const realm of [globalThis, this.global]) realm.Error.stackTraceLimit = STACK_FRAMES
  }

  async teardown() {
    await super.teardown()
    for (const storage of used) storage.disable()
    used.clear()
  }
}
