import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import {
  SpanKind,
  SpanStatusCode,
  context,
  trace,
  type Attributes,
  type Meter,
  type Span,
  type Tracer
} from '@opentelemetry/api'
import type { CreateEnded, Ended, PollEnded, SolveMeta, Solved, SolverEvent } from 'rx-captcha'

/** What is recorded with: a tracer, or a meter, or both. */
export interface Telemetry {
  readonly tracer: Tracer
  readonly meter: Meter
}

/**
 * Makes spans and metrics of all solvers in this process: a span for each solve, as a child of the span that is active when it is
 * subscribed to, with a child for each createTask and getTaskResult call. Returns a function that ends it.
 */
export const recordTelemetry = ({ tracer, meter }: Telemetry): (() => void) => {
  const receive = receiver(tracer, instrumentsOf(meter))
  const listener = (event: unknown): void => {
    receive(event as SolverEvent)
  }
  CHANNELS.forEach((name) => {
    subscribe(name, listener)
  })
  return () => {
    CHANNELS.forEach((name) => unsubscribe(name, listener))
  }
}

const CHANNELS = ['rx-captcha:solve', 'rx-captcha:create', 'rx-captcha:poll']

type Instruments = ReturnType<typeof instrumentsOf>

const instrumentsOf = (meter: Meter) => ({
  open: meter.createUpDownCounter('captcha.solves.open', { description: 'solves that have not ended' }),
  ended: meter.createCounter('captcha.solves', { description: 'solves that have ended, by outcome' }),
  paid: meter.createCounter('captcha.tasks.paid', { description: 'tasks that exist and are paid for' }),
  inDoubt: meter.createUpDownCounter('captcha.tasks.in_doubt', { description: 'tasks that may be paid for' }),
  queue: meter.createHistogram('captcha.solve.queue', { unit: 'ms', description: 'wait before createTask' }),
  task: meter.createHistogram('captcha.task.duration', { unit: 'ms', description: 'from createTask to the outcome' }),
  lateness: meter.createHistogram('captcha.token.lateness', {
    unit: 'ms',
    description: 'for how long a token had been ready when it arrived, at most'
  })
})

const receiver = (tracer: Tracer, instruments: Instruments) => {
  const open = new Map<number, Span>()
  // The solves that ended before it was known whether they are paid for.
  const inDoubt = new Set<number>()

  const start = ({ solveId, at, label }: SolveMeta, attributes: Attributes): void => {
    const labelled = label !== undefined && { 'captcha.label': label }
    const options = { startTime: at, attributes: { 'captcha.solve_id': solveId, ...labelled, ...attributes } }
    open.set(solveId, tracer.startSpan('captcha solve', options))
    instruments.open.add(1)
  }

  const end = (event: SolveMeta & Ended): void => {
    const { solveId, tag, paid, queueMs, taskMs, lateMs } = event
    const attributes = { 'captcha.outcome': tag, 'captcha.paid': paid, ...codeOf(event) }
    const span = open.get(solveId)
    span?.setAttributes({ ...attributes, 'captcha.polls': event.polls })
    if (!['Solved', 'Created', 'Polled'].includes(tag)) span?.setStatus({ code: SpanStatusCode.ERROR, message: tag })
    span?.end(event.at)
    open.delete(solveId)
    instruments.open.add(-1)
    instruments.ended.add(1, attributes)
    if (paid === 'unknown') {
      inDoubt.add(solveId)
      instruments.inDoubt.add(1)
    }
    if (queueMs !== undefined) instruments.queue.record(queueMs)
    if (taskMs !== undefined) instruments.task.record(taskMs, { 'captcha.outcome': tag })
    if (lateMs !== undefined) instruments.lateness.record(lateMs)
  }

  /** A span from the end of a call. A createTask may end after its solve; its span is then a root, linked to nothing. */
  const call = (name: string, event: SolveMeta & (CreateEnded | PollEnded)): void => {
    const parent = open.get(event.solveId)
    const within = parent ? trace.setSpan(context.active(), parent) : context.active()
    const attributes = { 'captcha.solve_id': event.solveId, 'captcha.result': event.result, ...codeOf(event) }
    const options = { kind: SpanKind.CLIENT, startTime: event.at - event.tookMs, attributes }
    const span = tracer.startSpan(name, options, within)
    if (event.cause) span.setStatus({ code: SpanStatusCode.ERROR, message: event.cause.code })
    span.end(event.at)
  }

  const settleDoubt = (solveId: number): void => {
    if (inDoubt.delete(solveId)) instruments.inDoubt.add(-1)
  }

  return (event: SolverEvent): void => {
    switch (event._tag) {
      case 'Started':
        start(event, { 'captcha.operation': event.operation, 'captcha.type': event.type })
        break
      case 'CreateEnded':
        call('createTask', event)
        break
      case 'PollEnded':
        call('getTaskResult', event)
        break
      case 'Created':
        instruments.paid.add(1)
        settleDoubt(event.solveId)
        break
      case 'Lost':
        if (event.error.paid === 'no') settleDoubt(event.solveId)
        break
      case 'Ended':
        end(event)
        break
      case 'CreateSent':
      case 'Polled':
      case 'Delayed':
      case 'AssumedNotCreated':
      case 'Orphaned':
      case 'BatchStarted':
      case 'Skipped':
      case 'BatchStopped':
      case 'BatchEnded':
        break
    }
  }
}

const codeOf = ({ errorCode }: { readonly errorCode?: string }): Attributes =>
  errorCode === undefined ? {} : { 'captcha.error_code': errorCode }

/** Records how old a token is, at most, when it is used. The library cannot know when that is. */
export const recordUse = (meter: Meter) => {
  const age = meter.createHistogram('captcha.token.age', {
    unit: 'ms',
    description: 'age of tokens when used, at most'
  })
  return ({ expiresAt }: Solved<unknown>, validForMs: number, now = Date.now()): void => {
    if (expiresAt !== undefined) age.record(Math.max(0, now - (expiresAt - validForMs)))
  }
}
