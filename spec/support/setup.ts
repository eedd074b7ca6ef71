// Here, because jest ignores a `testTimeout` in the configuration if that has `projects`.
jest.setTimeout(10_000)
