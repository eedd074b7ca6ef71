// The Agent of any undici is a `dispatcher`.
import { createSolver } from 'rx-captcha'
import { startEmulator } from 'rx-captcha/emulator'
import { Agent } from 'undici'
import { Agent as FirstAgent } from 'undici-first'
import { Agent as OtherAgent } from 'undici-other'

export const solvers = [new Agent(), new FirstAgent(), new OtherAgent()].map((dispatcher) =>
  createSolver({ clientKey: 'a-client-key', dispatcher })
)
export const emulator = startEmulator()
