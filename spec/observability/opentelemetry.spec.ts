import { context, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader
} from '@opentelemetry/sdk-metrics'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  SimpleSpanProcessor,
  type ReadableSpan
} from '@opentelemetry/sdk-trace-base'
import * as E from 'fp-ts/lib/Either.js'
import { Subject, firstValueFrom, merge, startWith, take, toArray } from 'rxjs'
import { recaptchaV2, type NetworkEvent, type Post } from 'rx-captcha'
import { emulators } from '../support/raw-http.js'
import { aSpec, outcome, solvers } from '../support/solvers.js'
import { recordTelemetry, recordUse } from './opentelemetry.js'

const start = emulators()
const solverOf = solvers()

/** The SDK with exporters in memory; the recording ends with the test. */
const setUp = () => {
  const spans = new InMemorySpanExporter()
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(spans)] }).getTracer('spec')
  const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
  const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 3_600_000 })
  const provider = new MeterProvider({ readers: [reader] })
  const meter = provider.getMeter('spec')
  stops.push(recordTelemetry({ tracer, meter }), () => void provider.shutdown())
  /** The points of each metric: a number, or the count and the largest value of a histogram. */
  const metrics = async () => {
    await provider.forceFlush()
    const scopes = exporter.getMetrics().at(-1)?.scopeMetrics ?? []
    const all = scopes.flatMap(({ metrics: found }) => found)
    return Object.fromEntries(all.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints]))
  }
  return { spans: () => spans.getFinishedSpans(), tracer, meter, metrics }
}

const stops: (() => void)[] = []
afterEach(() => {
  for (const stop of stops.splice(0)) stop()
})

beforeAll(() => context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable()))
afterAll(() => {
  context.disable()
})

const named = (spans: ReadonlyArray<ReadableSpan>, name: string) => spans.filter((span) => span.name === name)

describe('the spans', () => {
  it('are one for a solve with a child for each call, under the span that was active', async () => {
    const { spans, tracer } = setUp()
    const emulator = await start({ readyAfterMs: 5 })
    const solver = solverOf({ baseUrl: emulator.url }).withOptions({ label: 'shop' })
    const request = tracer.startSpan('GET /login')
    await context.with(trace.setSpan(context.active(), request), () => outcome(solver.solve(aSpec)))

    const [solve] = named(spans(), 'captcha solve')
    expect(solve?.parentSpanContext?.spanId).toBe(request.spanContext().spanId)
    expect(solve?.attributes).toMatchObject({
      ...{ 'captcha.outcome': 'Solved', 'captcha.paid': 'yes', 'captcha.label': 'shop' },
      'captcha.type': 'RecaptchaV2TaskProxyless'
    })
    const calls = spans().filter(({ name }) => name === 'createTask' || name === 'getTaskResult')
    expect(calls.length).toBe(1 + emulator.counters().requests.getTaskResult)
    expect(named(calls, 'createTask')[0]?.attributes).toMatchObject({ 'captcha.result': 'Created' })
    expect(new Set(calls.map(({ parentSpanContext }) => parentSpanContext?.spanId))).toStrictEqual(
      new Set([solve?.spanContext().spanId])
    )
    expect(calls.at(-1)?.attributes).toMatchObject({ 'captcha.result': 'Ready' })
  })

  it('of solves that run at the same time have their own children', async () => {
    const { spans } = setUp()
    const emulator = await start()
    const { solve } = solverOf({ baseUrl: emulator.url })
    await outcome(merge(solve(aSpec), solve(aSpec), solve(aSpec)).pipe(take(3), toArray()))

    const solves = named(spans(), 'captcha solve').map((span) => span.spanContext().spanId)
    const parents = named(spans(), 'createTask').map(({ parentSpanContext }) => parentSpanContext?.spanId)
    expect([...parents].sort()).toStrictEqual([...solves].sort())
    expect(new Set(solves).size).toBe(3)
  })

  it('of a refused solve have an error status and its code', async () => {
    const { spans } = setUp()
    const emulator = await start({ faults: ['createTask:always:ERROR_ZERO_BALANCE'] })
    await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))

    const [solve] = named(spans(), 'captcha solve')
    expect(solve).toMatchObject({
      status: { message: 'Refused' },
      attributes: { 'captcha.error_code': 'ERROR_ZERO_BALANCE' }
    })
  })

  it('end when the subscriber unsubscribes', async () => {
    const { spans } = setUp()
    const emulator = await start({ faults: ['getTaskResult:always:never'] })
    const solver = solverOf({ baseUrl: emulator.url })
    await firstValueFrom(solver.solveWithProgress(aSpec))

    expect(named(spans(), 'captcha solve')).toMatchObject([{ attributes: { 'captcha.outcome': 'Unsubscribed' } }])
  })
})

describe('the metrics', () => {
  it('count paid tasks and open solves, and measure the lateness and the age of tokens', async () => {
    const { metrics, meter } = setUp()
    const emulator = await start({ readyAfterMs: 5 })
    const result = await outcome(solverOf({ baseUrl: emulator.url }).solve(aSpec))
    if (E.isLeft(result)) throw new Error(result.left._tag)
    recordUse(meter)(result.right, recaptchaV2.validForMs ?? 0, result.right.readyAt + 2_000)

    const found = await metrics()
    expect(found['captcha.tasks.paid']).toMatchObject([{ value: 1 }])
    expect(found['captcha.solves.open']).toMatchObject([{ value: 0 }])
    expect(found['captcha.solves']).toMatchObject([{ value: 1, attributes: { 'captcha.outcome': 'Solved' } }])
    const [lateness] = found['captcha.token.lateness'] as unknown as [{ value: { count: number; max: number } }]
    const [age] = found['captcha.token.age'] as unknown as [{ value: { count: number; max: number } }]
    expect([lateness.value.count, age.value.count]).toStrictEqual([1, 1])
    // Both count from the same poll, and read two clocks one after the other.
    expect(Math.abs(age.value.max - 2_000 - lateness.value.max)).toBeLessThan(500)
  })

  it('count a task in doubt until its id arrives', async () => {
    const { metrics } = setUp()
    const reply = new Subject<NetworkEvent>()
    const post: Post = () => reply.pipe(startWith<NetworkEvent>({ _tag: 'Sent' }), take(2))
    solverOf({ post }).solve(aSpec).subscribe().unsubscribe()
    const before = await metrics()
    reply.next({ _tag: 'Reply', status: 200, body: '{"errorId":0,"taskId":"id-1"}' })
    const after = await metrics()

    expect([before['captcha.tasks.in_doubt'], after['captcha.tasks.in_doubt']]).toMatchObject([
      [{ value: 1 }],
      [{ value: 0 }]
    ])
    expect([before['captcha.tasks.paid'] ?? [], after['captcha.tasks.paid']]).toMatchObject([[], [{ value: 1 }]])
  })
})
