// This library as its README tells to use it, from the built package.
import { createSolver, recaptchaV2 } from '../../dist/index.js'

/** @type {import('./client.mjs').Open} */
export const openOurs = ({ baseUrl, pollEveryMs }) => {
  const solver = createSolver({ clientKey: 'a-client-key', baseUrl, pollEveryMs })
  return {
    start: (websiteURL, websiteKey, done) =>
      solver.solve(recaptchaV2({ websiteURL, websiteKey })).subscribe((result) => {
        done(result._tag === 'Right' ? result.right.solution.gRecaptchaResponse : result.left)
      }),
    close: () => solver.close()
  }
}
