/**
 * Leaves the frames out of the stacks of all errors in the tests of a file: jest maps each frame that is read to its source, which
 * takes longer than a test that catches thousands of errors.
 */
export const withoutStackFrames = (): void => {
  const { stackTraceLimit } = Error
  beforeAll(() => (Error.stackTraceLimit = 0))
  afterAll(() => (Error.stackTraceLimit = stackTraceLimit))
}
