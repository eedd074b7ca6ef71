// Solves a task over an Agent of each undici that is named; prints the versions that do not load on this Node.
const assert = require('node:assert/strict')
const { createSolver, recaptchaV2 } = require('rx-captcha')
const { EMULATOR_KEY, startEmulator } = require('rx-captcha/emulator')
const { firstValueFrom } = require('rxjs')

const task = recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'a-site-key' })

const load = (name) => {
  try {
    return require(name)
  } catch (error) {
    console.log(`${name} ${require(`${name}/package.json`).version} does not load: ${error.message}`)
    return undefined
  }
}

const main = async () => {
  const emulator = await startEmulator({ readyAfterMs: 20 })
  for (const name of process.argv.slice(2)) {
    const undici = load(name)
    if (!undici) continue
    const dispatcher = new undici.Agent()
    const solver = createSolver({ clientKey: EMULATOR_KEY, baseUrl: emulator.url, pollEveryMs: 10, dispatcher })
    assert.equal((await firstValueFrom(solver.solve(task)))._tag, 'Right', name)
    await solver.close()
    await dispatcher.close()
  }
  await emulator.close()
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
