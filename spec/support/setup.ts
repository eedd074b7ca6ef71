// Here, because jest ignores a `testTimeout` in the configuration if that has `projects`. A busy machine needs more than a second
// to start a process, and some tests start ten.
jest.setTimeout(30_000)
