// A user's types: emitted declarations, inference, and the agents of other versions of undici.
import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { createSolver, defineTask, explain, recaptchaV2, type SolveError, type Solved, type Solver } from 'rx-captcha'
import { jobVerdict } from 'rx-captcha/bullmq'
import { fileJournal } from 'rx-captcha/journal'
import { stubSolver } from 'rx-captcha/testing'
import { filter, mergeMap, of, type Observable } from 'rxjs'

export const solver: Solver = createSolver({ clientKey: 'a-client-key', baseUrl: undefined })
export const created = solver.events.pipe(filter((event) => event._tag === 'Created'))

const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'a-site-key' })
export const solved: Observable<E.Either<SolveError, Solved<{ readonly gRecaptchaResponse: string }>>> = of(task).pipe(
  mergeMap(solver.solve)
)
export const counted = defineTask({ type: 'CountTask', fields: t.type({ n: t.number }), solution: t.number })
export const sentence = (error: SolveError): string => explain(error)
export const stub = stubSolver({})
export const journal = fileJournal('a.journal')
export const verdict = (error: SolveError): string => jobVerdict(error)

// @ts-expect-error a client key is required
createSolver({})
