// A `testTimeout` in the configuration is ignored as soon as there are projects: here it always holds.
jest.setTimeout(10_000)
