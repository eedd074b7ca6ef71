import { TestScheduler, type RunHelpers } from 'rxjs/testing'

/** A marble test in run mode; the scheduler is handed over, as every operator of ours takes it. */
export const marbles = (test: (helpers: RunHelpers, scheduler: TestScheduler) => void) => (): void => {
  const scheduler = new TestScheduler((actual, expected) => {
    expect(actual).toStrictEqual(expected)
  })
  scheduler.run((helpers) => {
    test(helpers, scheduler)
  })
}
