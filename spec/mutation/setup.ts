// A changed line may make a test hang; this limit ends it sooner than that of spec/support/setup.ts.
jest.setTimeout(6_000)

// RxJS throws an unhandled error from a timer. After the last test of a file such an error ends the process, and with it the
// run of a mutant: waiting for the timer makes the error fail the test instead.
afterEach(() => new Promise((resolve) => setTimeout(resolve, 0)))
