import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { lastValueFrom } from 'rxjs'
import { defineCall } from '../core/model/call.js'
import { explain } from '../core/model/explain.js'
import { refined } from '../core/validation/problems.js'
import { createSolver } from '../http/create-solver.js'
import { printLine, printResult, write, type CliContext } from './shared/context.js'
import { EXIT } from './shared/exit-code.js'
import type { OpenedService } from './shared/service.js'

export const BALANCE_EXIT_HELP = `Exit codes:
  0    the balance was printed
  1    the call failed, or the output could not be written
  2    usage error`

/** Prints the balance of the account; returns the exit code. */
export const balance = async (context: CliContext, service: OpenedService, json: boolean): Promise<number> => {
  const solver = createSolver(service.options)
  const result = await lastValueFrom(solver.call(getBalance))
  await solver.close()
  if (E.isRight(result)) {
    const { balance } = result.right
    return printResult(context, json ? `${JSON.stringify({ ok: true, balance: Number(balance) })}\n` : `${balance}\n`)
  }
  const message = explain(result.left)
  if (json) await write(context.stdout, `${JSON.stringify({ ok: false, error: result.left, message })}\n`)
  else printLine(context.stderr, `error: ${message}`)
  return EXIT.unpaid
}

const Amount = refined(
  'a number',
  (value): value is number | string =>
    typeof value === 'number' || (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value))
)

// Not documented by the service: docs/protocol.md, "Not documented".
const getBalance = defineCall({ path: '/getBalance', reply: t.type({ balance: Amount }) })
