import * as E from 'fp-ts/lib/Either.js'
import type * as t from 'io-ts'
import type { CallFailed } from '../model/call.js'
import type { CallResult, ServicePath } from '../model/network.js'
import { readCallReply } from './codec.js'
import {
  KIND_OF,
  classify,
  documentOrNone,
  problemsWith,
  receivedReply,
  serviceErrorOf,
  type ReadOptions
} from './reply.js'

/** Interprets the result of a call that is not about a task. */
export const interpretCall = <A>(
  options: ReadOptions,
  path: ServicePath,
  reply: t.Decoder<unknown, A>,
  result: CallResult
): E.Either<CallFailed, A> => {
  const failed = (fields: Omit<CallFailed, '_tag' | 'path'>) =>
    E.left<CallFailed>({ _tag: 'CallFailed', path, ...fields })
  const received = receivedReply(result)
  if (E.isLeft(received)) return failed({ cause: received.left })
  const { status, document, cause } = received.right
  const value = E.flatMap(document, (found) => readCallReply(reply, found))
  if (E.isRight(value)) return value
  const kind = KIND_OF[classify(options, received.right)]
  const found = documentOrNone(document)
  if ((found.errorId ?? 0) > 0) return failed({ status, ...serviceErrorOf(options, found), kind })
  const problems = problemsWith(options, value.left, found.errorCode)
  return failed({ status, ...(kind !== 'unknown' && { kind }), ...(cause && { cause }), problems })
}
