import * as t from 'io-ts'
import { isRecord } from '../validation/problems.js'
import type { CallFailed } from './call.js'
import type { ErrorKind, NotCreated, SolveError } from './error.js'

/**
 * Whether `explain` can describe a value, which may be the `Left` of any Observable: an error with a tag of this library may still
 * belong to the application. Throws what a getter of the value throws.
 */
export const isExplainable = (error: unknown): error is SolveError | CallFailed => {
  const tag = isRecord(error) ? error._tag : undefined
  return typeof tag === 'string' && Object.hasOwn(EXPLAINED, tag) && EXPLAINED[tag as keyof typeof EXPLAINED].is(error)
}

const Texts = t.array(t.string)

const ReplyFields = t.partial({
  status: t.number,
  errorCode: t.string,
  errorDescription: t.string,
  taskStatus: t.string,
  problems: Texts,
  cause: t.type({ name: t.string, code: t.string, message: t.string })
})

const KnownKind = t.keyof({
  account: null,
  request: null,
  unavailable: null,
  task: null,
  unknown: null
} satisfies Record<ErrorKind, null>)

const NotCreatedReason = t.keyof({
  dns: null,
  connect: null,
  tls: null,
  deadline: null,
  account: null,
  unreadable: null,
  journal: null,
  closed: null
} satisfies Record<NotCreated['reason'], null>)

const UnpaidFields = t.type({ paid: t.literal('no') })
const PaidFields = t.type({ paid: t.literal('yes'), ref: t.type({ taskId: t.string }) })

/** The fields that the explanation of each error needs. */
const EXPLAINED = {
  InvalidTask: t.intersection([UnpaidFields, t.type({ problems: Texts })]),
  NotCreated: t.intersection([UnpaidFields, t.type({ reason: NotCreatedReason, attempts: t.number }), ReplyFields]),
  Refused: t.intersection([
    t.type({ paid: t.keyof({ no: null, unknown: null }), status: t.number, kind: KnownKind }),
    ReplyFields
  ]),
  CreateUnknown: t.intersection([t.type({ paid: t.literal('unknown') }), ReplyFields]),
  TaskFailed: t.intersection([PaidFields, t.type({ kind: KnownKind }), ReplyFields]),
  BadReply: t.intersection([PaidFields, t.type({ status: t.number, problems: Texts })]),
  TimedOut: t.intersection([PaidFields, t.type({ afterMs: t.number, polls: t.number, causes: t.array(ReplyFields) })]),
  Interrupted: PaidFields,
  CallFailed: t.intersection([t.type({ path: t.string }), t.partial({ kind: KnownKind }), ReplyFields])
} satisfies Record<(SolveError | CallFailed)['_tag'], t.Mixed>
