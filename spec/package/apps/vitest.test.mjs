import { firstValueFrom } from 'rxjs'
import { TestScheduler } from 'rxjs/testing'
import * as rxCaptcha from 'rx-captcha'
import * as emulator from 'rx-captcha/emulator'
import * as testing from 'rx-captcha/testing'
import { expect, it } from 'vitest'
import define from './user-tests.cjs'

define({ it, expect }, { TestScheduler, firstValueFrom, rxCaptcha, emulator, testing })
