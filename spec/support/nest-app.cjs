// A NestJS application around a CaptchaService: GET / answers with the outcome of a solve. Prints what it does, a line each.
// Argument: the file of the service.
require('reflect-metadata')
const { createRequire } = require('node:module')
const { readFileSync } = require('node:fs')
const { Controller, Get, Inject, Module } = require('@nestjs/common')
const { NestFactory } = require('@nestjs/core')
const { firstValueFrom } = require('rxjs')
const rxCaptcha = require('rx-captcha')

const [, , serviceFile] = process.argv
const print = (line) => process.stdout.write(`${line}\n`)

// The service of the documentation polls at the usual pace.
const createSolver = (options) => rxCaptcha.createSolver({ ...options, pollEveryMs: 20 })
const load = (name) => (name === 'rx-captcha' ? { ...rxCaptcha, createSolver } : createRequire(__filename)(name))
const loaded = {}
new Function('require', 'exports', readFileSync(serviceFile, 'utf8'))(load, loaded)
const { CaptchaService } = loaded

const task = rxCaptcha.recaptchaV2({ websiteURL: 'https://example.com/login', websiteKey: 'your-site-key' })

// Decorators are functions; called like this they need no compiler.
class SolveController {
  constructor(service) {
    this.service = service
  }
  async solve() {
    return firstValueFrom(this.service.solve(task))
  }
}
Controller()(SolveController)
Inject(CaptchaService)(SolveController, undefined, 0)
Get()(SolveController.prototype, 'solve', Object.getOwnPropertyDescriptor(SolveController.prototype, 'solve'))

const store = { save: async ({ taskId }) => print(`stored ${taskId}`) }
class AppModule {
  onApplicationShutdown(signal) {
    print(`drained after ${signal}`)
  }
}
const service = { provide: CaptchaService, useFactory: () => new CaptchaService(store) }
Module({ controllers: [SolveController], providers: [service] })(AppModule)

void NestFactory.create(AppModule, { logger: false }).then(async (app) => {
  app.enableShutdownHooks()
  await app.listen(0, '127.0.0.1')
  print(`listening ${app.getHttpServer().address().port}`)
})
