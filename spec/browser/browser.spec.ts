import { firstValueFrom } from 'rxjs'
import * as puppeteer from 'puppeteer-core'
import type { Browser, Page } from 'puppeteer-core'
import * as rxjs from 'rxjs'
import * as rxCaptcha from 'rx-captcha'
import { createSolver, orThrow, recaptchaV2, type Solver } from 'rx-captcha'
import * as emulatorModule from 'rx-captcha/emulator'
import { EMULATOR_KEY, type Emulator, type EmulatorOptions } from 'rx-captcha/emulator'
import { runBlock, runnable } from '../support/doc-examples.js'
import { blocksOf } from '../support/doc-pages.js'
import { createdId, emulators, poll } from '../support/raw-http.js'
import { findChromium } from './chromium.js'
import { startSite, type Site } from './site.js'

jest.setTimeout(60_000)

const executablePath = findChromium()
if (executablePath === undefined)
  process.stderr.write(
    'The browser tests are skipped: Chromium is not installed (on Debian: apt-get install chromium).\n'
  )
const describeIfFound = executablePath === undefined ? describe.skip : describe

// Chromium has no sandbox for root, and containers have little shared memory.
const launchOptions: puppeteer.LaunchOptions = {
  args: [...(process.getuid?.() === 0 ? ['--no-sandbox'] : []), '--disable-dev-shm-usage'],
  ...(executablePath !== undefined && { executablePath })
}

let browser: Browser
const start = emulators()
const opened: { readonly close: () => Promise<unknown> }[] = []

const openPage = async (url: string): Promise<Page & { readonly problems: ReadonlyArray<string> }> => {
  const page = await browser.newPage()
  const problems: string[] = []
  page.on('console', (message) => problems.push(`${message.type()}: ${message.text()}`))
  page.on('pageerror', (error) => problems.push(String(error)))
  page.on('requestfailed', (request) => problems.push(`failed: ${request.url()}`))
  opened.push(page)
  await page.goto(url)
  return Object.assign(page, { problems })
}

const textOf = async (page: Page, selector: string): Promise<string> =>
  String(await page.evaluate(`document.querySelector(${JSON.stringify(selector)})?.textContent`))

const waitForText = (page: Page, selector: string, text: string): Promise<unknown> =>
  page.waitForFunction(`document.querySelector(${JSON.stringify(selector)})?.textContent === ${JSON.stringify(text)}`)

describeIfFound('in Chromium', () => {
  beforeAll(async () => {
    browser = await puppeteer.launch(launchOptions)
  })
  afterAll(() => browser.close())
  afterEach(() => Promise.all(opened.splice(0).map((each) => each.close())))

  describe('a site that checks tokens by siteverify', () => {
    const startAll = async (
      options: EmulatorOptions = {}
    ): Promise<{ emulator: Emulator; site: Site; solver: Solver }> => {
      const emulator = await start({ siteSecret: 'the-secret-of-the-site', ...options })
      const site = await startSite(`${emulator.url}/siteverify`, 'the-secret-of-the-site')
      const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 5 })
      opened.push(site, solver)
      return { emulator, site, solver }
    }

    const tokenFor = async (solver: Solver, websiteURL: string): Promise<string> => {
      const task = recaptchaV2({ websiteURL, websiteKey: 'the-site-key' })
      return (await firstValueFrom(solver.solve(task).pipe(orThrow()))).solution.gRecaptchaResponse
    }

    /** Fills in the form and submits it; returns the heading and the message of the page that follows. */
    const signUp = async (page: Page, site: Site, token: string): Promise<ReadonlyArray<string>> => {
      await page.goto(site.url)
      await page.locator('input[name=name]').fill('Ada')
      await page.locator('textarea[name=g-recaptcha-response]').fill(token)
      await Promise.all([page.waitForNavigation(), page.locator('button').click()])
      return [await textOf(page, 'h1'), await textOf(page, '#message')]
    }

    it('accepts the form with the token of a solve, and refuses the same token the next time', async () => {
      const { emulator, site, solver } = await startAll()
      const page = await openPage(site.url)
      const token = await tokenFor(solver, site.url)
      expect(await signUp(page, site, token)).toStrictEqual(['Welcome', 'You are member number 1.'])
      expect(await signUp(page, site, token)).toStrictEqual([
        'Please try again',
        'The check failed: timeout-or-duplicate'
      ])
      expect(site.members()).toStrictEqual(['Ada'])
      expect(emulator.counters()).toMatchObject({ accepted: 1, delivered: 1, verified: 1, unverified: 1 })
    })

    it('refuses an empty field, an invented token, one that is too old, and one that was solved for another site', async () => {
      let now = 1_000_000
      const { emulator, site, solver } = await startAll({ now: () => now })
      const page = await openPage(site.url)
      const [old, foreign] = [await tokenFor(solver, site.url), await tokenFor(solver, 'https://example.com/')]
      expect(await signUp(page, site, '')).toContain('The check failed: missing-input-response')
      expect(await signUp(page, site, 'invented')).toContain('The check failed: invalid-input-response')
      expect(await signUp(page, site, foreign)).toContain('The check failed: ')
      now += 120_000
      expect(await signUp(page, site, old)).toContain('The check failed: timeout-or-duplicate')
      expect([site.members(), emulator.counters().unverified]).toStrictEqual([[], 3])
    })

    it('shows the visitor that siteverify is not available', async () => {
      const { site, solver } = await startAll({ faults: ['siteverify:1:503'] })
      const page = await openPage(site.url)
      const token = await tokenFor(solver, site.url)
      expect(await signUp(page, site, token)).toStrictEqual(['Please try later', 'The check is not available.'])
      expect(await signUp(page, site, token)).toContain('Welcome')
    })
  })

  describe('the status page of the emulator', () => {
    it('changes its counters, faults and tasks live, without a message in the console', async () => {
      const emulator = await start({ basePath: '/v1', faults: ['createTask:2:billed+503'] })
      const page = await openPage(emulator.url)
      await waitForText(page, '#live', 'Live.')
      expect([await textOf(page, '#url'), await textOf(page, '#seed')]).toStrictEqual([emulator.url, '1'])
      expect(await textOf(page, '[data-counter=accepted]')).toBe('0')

      const taskId = await createdId(emulator)
      await createdId(emulator)
      await waitForText(page, '[data-counter=accepted]', '2')
      expect(await textOf(page, '#faults tr')).toBe('createTask:2:billed+5031')
      expect(await textOf(page, '#tasks tr:first-child [data-label=State]')).toBe('lost')

      await poll(emulator, taskId)
      await waitForText(page, '#tasks tr:last-child [data-label=State]', 'delivered')
      expect(await textOf(page, '#tasks tr:last-child [data-label=Task]')).toBe(taskId)
      expect(await textOf(page, '[data-counter=delivered]')).toBe('1')
      expect(page.problems).toStrictEqual([])
    })

    it('keeps the rows that do not change', async () => {
      const emulator = await start()
      await createdId(emulator)
      const page = await openPage(emulator.url)
      await page.waitForSelector('#tasks tr')
      await page.evaluate("document.querySelector('#tasks tr').id = 'kept'")
      await page.waitForResponse((response) => response.url().endsWith('/status'))
      await page.waitForResponse((response) => response.url().endsWith('/status'))
      expect(await textOf(page, '#kept [data-label=Site]')).toBe('example.com/login')
    })

    it.each([320, 1_200])('fits a window of %d pixels, with long words in its tables', async (width) => {
      const emulator = await start({ faults: ['task:1:ERROR_A_VERY_LONG_NAME_WITHOUT_A_SPACE_IN_IT_AT_ALL'] })
      const page = await openPage(emulator.url)
      await page.setViewport({ width, height: 700 })
      await createdId(emulator)
      await page.waitForSelector('#tasks tr')
      expect(await page.evaluate('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0)
    })

    it.each(['light', 'dark'])('has text that stands out from its background (%s)', async (value) => {
      const page = await openPage((await start()).url)
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value }])
      const brightness = async (property: string) => {
        const color = String(await page.evaluate(`getComputedStyle(document.body).${property}`))
        return Math.max(...Array.from(color.matchAll(/\d+/g), Number))
      }
      const [text, background] = [await brightness('color'), await brightness('backgroundColor')]
      expect(value === 'dark' ? text - background : background - text).toBeGreaterThan(150)
    })

    it('shows that the emulator does not reply once it has stopped', async () => {
      const emulator = await start()
      const page = await openPage(emulator.url)
      await waitForText(page, '#live', 'Live.')
      await emulator.close()
      await waitForText(page, '#live', 'The emulator does not reply. It may have stopped.')
    })
  })

  describe('the recipe in docs/emulator.md', () => {
    const recipes = runnable(blocksOf('docs/emulator.md').filter(({ code }) => code.includes("from 'puppeteer-core'")))

    it('passes as it is written', async () => {
      expect(recipes).toHaveLength(1)
      const emulator = await start()
      const site = await startSite(`${emulator.url}/siteverify`, 'any')
      opened.push(site)
      process.env.SITE_URL = site.url
      process.env.CAPTCHA_BASE_URL = emulator.url
      const modules: Readonly<Record<string, unknown>> = {
        rxjs,
        'rx-captcha': rxCaptcha,
        'rx-captcha/emulator': emulatorModule,
        'puppeteer-core': { ...puppeteer, launch: () => puppeteer.launch(launchOptions) }
      }
      await runBlock(recipes[0]!, (name) => modules[name], 30_000)
      expect(site.members()).toStrictEqual(['Ada'])
    })
  })
})
