// RxJS throws an error that no subscriber hears in a timer of its own. After the last test of a file that ends the process, and
// under mutation the run of a mutant with it: wait for the timer, so that the error fails the test.
afterEach(() => new Promise((resolve) => setTimeout(resolve, 0)))
