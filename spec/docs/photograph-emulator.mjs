// Draws docs/emulator.webp, the status page of an emulator with a few tasks, in the Chromium of this machine: `npm run photograph`.
import puppeteer from 'puppeteer-core'
import { EMULATOR_KEY, startEmulator } from '../../dist/emulator/index.js'

const faults = ['createTask:2:billed+reset', 'task:4:ERROR_CAPTCHA_UNSOLVABLE', 'siteverify:2:timeout-or-duplicate']
let now = Date.UTC(2026, 0, 1, 9, 30)
const emulator = await startEmulator({ port: 8080, seed: 7, readyAfterMs: [4_000, 9_000], faults, now: () => now })

const post = async (path, body) => {
  const headers = { 'content-type': 'application/json' }
  const request = { method: 'POST', headers, body: JSON.stringify({ clientKey: EMULATOR_KEY, ...body }) }
  const reply = await fetch(emulator.url + path, request).catch(() => undefined)
  return reply?.json()
}

for (const page of ['login', 'sign-up', 'login', 'checkout', 'login', 'contact']) {
  const task = { type: 'RecaptchaV2TaskProxyless', websiteURL: `https://example.com/${page}`, websiteKey: 'a-site-key' }
  await post('/createTask', { task })
  now += 1_300
}
now += 2_000
for (const { taskId, replySent } of emulator.tasks()) {
  if (!replySent) continue
  const { solution } = await post('/getTaskResult', { taskId })
  const body = new URLSearchParams({ secret: 'any', response: solution?.gRecaptchaResponse ?? 'no-token' })
  if (solution) await fetch(`${emulator.url}/siteverify`, { method: 'POST', body })
}

const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox']
})
const page = await browser.newPage()
await page.emulateTimezone('UTC')
await page.setViewport({ width: 1_060, height: 600 })
await page.goto(emulator.url)
await page.waitForSelector('#tasks tr')
await page.screenshot({ path: 'docs/emulator.webp', type: 'webp', quality: 60, fullPage: true })
await browser.close()
await emulator.close()
