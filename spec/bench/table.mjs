const COLUMNS = [
  '',
  'tasks',
  'CPU/solve',
  'of floor',
  'CPU/exchange',
  'of floor',
  'heap/task',
  'at peak',
  'late p50',
  'p99',
  'max',
  'early',
  'ready to answer',
  'max',
  'failed',
  'connections',
  'server CPU'
]

const ms = (value) => (value === undefined ? '-' : `${value.toFixed(0)} ms`)
const seconds = (value) => `${(value / 1_000).toFixed(2)} s`
const ratio = (value, of) => (of === undefined ? '-' : `${(value / of).toFixed(2)} x`)
const kilobytes = (bytes) => `${(bytes / 1_000).toFixed(1)} KB`

/** The figures, to be read on a terminal. */
export const table = ({ date, machine, workloads, core }) =>
  [
    `${date}, ${machine}`,
    ...workloads.flatMap(rowsOf),
    ...(core ? [`core alone: ${core.perQuestionUs.toFixed(1)} us a poll, ${kilobytes(core.heapPerTask)} a task`] : [])
  ].join('\n')

const rowsOf = ({ protocol, burst, contenders }) => {
  const floor = contenders.find(({ name }) => name === 'floor')
  const rows = contenders.map((one) => [
    one.name,
    String(one.tasks),
    `${one.cpuPerSolveUs.toFixed(0)} us`,
    ratio(one.cpuPerSolveUs, floor?.cpuPerSolveUs),
    `${one.cpuPerExchangeUs.toFixed(1)} us`,
    ratio(one.cpuPerExchangeUs, floor?.cpuPerExchangeUs),
    kilobytes(one.heapPerTask),
    kilobytes(one.peakPerTask),
    ms(one.latenessMs.p50),
    ms(one.latenessMs.p99),
    ms(one.latenessMs.max),
    String(one.early),
    seconds(one.readyToAnswerMs.mean),
    seconds(one.readyToAnswerMs.max),
    String(one.failed),
    String(one.connections),
    `${((100 * one.serverCpuMs) / one.tookMs).toFixed(0)} %`
  ])
  const widths = COLUMNS.map((title, at) => Math.max(title.length, ...rows.map((row) => row[at].length)))
  const line = (row) =>
    row.map((cell, at) => (at === 0 ? cell.padEnd(widths[at]) : cell.padStart(widths[at]))).join('  ')
  const reasons = contenders.filter(({ reason }) => reason).map(({ name, reason }) => `${name} failed: ${reason}`)
  const title = `${protocol}, tasks begun ${burst ? 'at once' : 'evenly'}`
  return ['', title, ...(rows.length > 0 ? [line(COLUMNS), ...rows.map(line)] : []), ...reasons]
}
