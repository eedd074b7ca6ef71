// Clients of services of the same family, each used as its README tells, and pointed at the bench's server:
// - @zennolab_com/capmonstercloud-client has an option for it, `serviceUrl`;
// - node-capmonster has its address in a static field, `CapmonsterClient.hostUrl`, read by the constructor;
// - anticaptcha has it in the apisauce instance of the client, a public field, whose `setBaseURL` changes it.
import { createRequire } from 'node:module'
import { setTimeout as sleep } from 'node:timers/promises'

const require = createRequire(import.meta.url)
const nothing = () => Promise.resolve()

const starting = (solve, tokenOf) => (websiteURL, websiteKey, done) =>
  void solve(websiteURL, websiteKey).then((solved) => done(tokenOf(solved) ?? { solved }), done)

/** @type {import('./client.mjs').Open} */
export const openZennolab = ({ baseUrl, pollEveryMs }) => {
  const {
    CapMonsterCloudClientFactory,
    ClientOptions,
    RecaptchaV2Request
  } = require('@zennolab_com/capmonstercloud-client')
  const options = new ClientOptions({ clientKey: 'a-client-key', serviceUrl: baseUrl })
  const client = CapMonsterCloudClientFactory.Create(options)
  const pace = { firstRequestDelay: pollEveryMs, requestsInterval: pollEveryMs, timeout: 300_000 }
  const solve = (websiteURL, websiteKey) => client.Solve(new RecaptchaV2Request({ websiteURL, websiteKey }), pace)
  return { start: starting(solve, ({ solution }) => solution?.gRecaptchaResponse), close: nothing }
}

/** @type {import('./client.mjs').Open} */
export const openNodeCapmonster = ({ baseUrl, pollEveryMs }) => {
  const { CapmonsterClient } = require('node-capmonster/dist/capmonster.js')
  const { RecaptchaV2Task } = require('node-capmonster')
  CapmonsterClient.hostUrl = baseUrl
  const client = new RecaptchaV2Task('a-client-key')
  client.timer = () => sleep(pollEveryMs) // it asks every 2 s, which cannot be set
  const solve = async (websiteURL, websiteKey) =>
    client.joinTaskResult(await client.createWithTask({ websiteURL, websiteKey }), 300)
  return { start: starting(solve, (solution) => solution?.gRecaptchaResponse), close: nothing }
}

/** @type {import('./client.mjs').Open} */
export const openAnticaptcha = ({ baseUrl, pollEveryMs }) => {
  const { AntiCaptcha } = require('anticaptcha')
  const client = new AntiCaptcha('a-client-key')
  client.api.setBaseURL(baseUrl)
  const solve = async (websiteURL, websiteKey) =>
    client.getTaskResult(await client.createTaskRecaptchaV2Proxyless(websiteURL, websiteKey), 120, pollEveryMs)
  return { start: starting(solve, ({ solution }) => solution?.gRecaptchaResponse), close: nothing }
}
