import * as E from 'fp-ts/lib/Either.js'
import { defer, map, race } from 'rxjs'
import type { CallFailed, CallSpec } from '../model/call.js'
import { interpretCall } from '../protocol/interpret-other-call.js'
import type { ObservableEither } from '../rx/observable-either.js'
import type { Context } from './context.js'
import { causeOfEnd } from '../in-flight/phase.js'

/** Makes a call that is not about a task, once. Unsubscribing and `close` abort it. */
export const otherCall = <A>(context: Context, spec: CallSpec<A>): ObservableEither<CallFailed, A> =>
  defer(() => {
    const { call, inFlight, readOptions, settings } = context
    const { path, reply, body, timeoutMs = settings.resultTimeoutMs } = spec
    const closed = inFlight.closing.pipe(
      map(() => E.left<CallFailed>({ _tag: 'CallFailed', path, cause: causeOfEnd('closed', 0) }))
    )
    const calling = call(path, { ...body, clientKey: settings.clientKey }, timeoutMs, {
      read: (result) => interpretCall(readOptions, path, reply, result)
    })
    // `closed` first: after `close` the call is not even started.
    return race(closed, calling)
  })
