const { TestEnvironment } = require('jest-environment-node')

/** Skips the tests after one that failed: one is enough to know that a change is noticed. */
module.exports = class extends TestEnvironment {
  #hasFailed = false

  handleTestEvent(event) {
    if (event.name === 'test_done' && event.test.errors.length > 0) this.#hasFailed = true
    if (event.name === 'test_start' && this.#hasFailed) event.test.mode = 'skip'
  }
}
