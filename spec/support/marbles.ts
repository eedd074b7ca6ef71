import { TestScheduler, type RunHelpers } from 'rxjs/testing'

/** A marble test in run mode. It gets the scheduler too, because every operator of the library takes one. */
export const marbles = (test: (helpers: RunHelpers, scheduler: TestScheduler) => void) => (): void => {
  const scheduler = new TestScheduler((actual, expected) => {
    expect(actual).toStrictEqual(expected)
  })
  scheduler.run((helpers) => {
    test(helpers, scheduler)
  })
}
