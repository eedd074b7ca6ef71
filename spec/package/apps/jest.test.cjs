const rxjs = require('rxjs')
const { TestScheduler } = require('rxjs/testing')
require('./user-tests.cjs')(
  { it, expect },
  {
    TestScheduler,
    firstValueFrom: rxjs.firstValueFrom,
    rxCaptcha: require('rx-captcha'),
    emulator: require('rx-captcha/emulator'),
    testing: require('rx-captcha/testing')
  }
)
