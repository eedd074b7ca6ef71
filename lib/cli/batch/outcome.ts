import * as E from 'fp-ts/lib/Either.js'
import type { SolveError } from '../../core/model/error.js'
import { explain } from '../../core/model/explain.js'
import type { RecaptchaV2Solution } from '../../core/model/recaptcha-v2.js'
import type { Solved } from '../../core/model/task.js'
import type { Item } from './item.js'
import { SOLVED, standOf, type OutLine } from './output.js'

/** An item with its place in the input, from 0, and what it is remembered by. */
export interface Numbered extends Item {
  readonly index: number
  readonly key: string | undefined
}

/** The line that tells an outcome. A key stands in it where no id says the same. */
export const lineOf = (
  { index, id, key, line, isBad }: Numbered,
  result: E.Either<SolveError, Solved<RecaptchaV2Solution>>
): OutLine => {
  const named = { index, ...(id !== undefined ? { id } : key !== undefined && { key }), ...(isBad && { line }) }
  if (E.isLeft(result)) {
    const { left: error } = result
    const text = JSON.stringify({ ...named, ok: false, error, message: explain(error) })
    return { key, text: `${text}\n`, stand: standOf(error) }
  }
  const { ref, solution, useBefore, expiresAt } = result.right
  const text = JSON.stringify({ ...named, ok: true, taskId: ref.taskId, ...solution, useBefore, expiresAt })
  return { key, text: `${text}\n`, stand: SOLVED }
}
