import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { KEY } from './simulate.js'

/** A generated reply: its bytes and headers for the HTTP client, and the wait that a `Post` would read from them. */
export interface FuzzedReply {
  readonly status: number
  readonly bytes: Buffer
  /** Whether the reply ends as it should, is broken off after its bytes, or never ends. */
  readonly end: 'whole' | 'broken' | 'open'
  readonly encoding: string | undefined
  /** The header `Retry-After`. */
  readonly retryAfter: string | undefined
  /** For a `Post`; drawn independently of the header. */
  readonly retryAfterMs: number | undefined
}

// JSON text, because a service can send values that JavaScript cannot hold.
const NASTY_VALUES = [
  ...[
    '0',
    '1',
    '-1',
    '12',
    '"0"',
    '"1"',
    '1.5',
    '1e3',
    '1e999',
    '-0',
    'null',
    'true',
    'false',
    '""',
    '" "',
    '[]',
    '{}'
  ],
  ...[
    '9007199254740991',
    '9007199254740992',
    '9007199254740993',
    '123456789012345678901234567890',
    '-9007199254740993'
  ],
  ...['"processing"', '"ready"', '"idle"', '"READY"', '"task-1"', '"constructor"', '"__proto__"', '["task-1"]'],
  ...['"00"', '"null"', '" None"', '"undefined"'],
  ...['{"gRecaptchaResponse":"token"}', '{"gRecaptchaResponse":""}', '{"gRecaptchaResponse":" "}', '"token"'],
  ...['{"gRecaptchaResponse":7}', '{"gRecaptchaResponse":["token"]}', '{"__proto__":{"gRecaptchaResponse":"token"}}'],
  ...['{"gRecaptchaResponse":"","gRecaptchaResponse":"token"}', '{"toString":1,"valueOf":1}', '"\\ud800"', '"\\u0000"'],
  ...['"ERROR_ZERO_BALANCE"', '"ERROR_NO_SLOT_AVAILABLE"', '"ERROR_TASKID_INVALID"', '"CAPCHA_NOT_READY"', '"ERROR_X"'],
  ...['{"errorId":0,"status":"ready","taskId":"task-1","solution":{"gRecaptchaResponse":"token"}}', `"${KEY}"`],
  ...['NaN', '-Infinity', 'undefined', '-undefined', 'nan', '1NaN', '"NaN"', '"a\nb"', '"\t"', '"a,]"', '[1,]', '[,]'],
  ...['{"gRecaptchaResponse":"tok\ren",}', '{"gRecaptchaResponse":NaN}', '{"errorId":1,"taskId":"task-2",}']
]

type Fields = ReadonlyArray<readonly [name: string, json: string]>

const NO_ERROR: Fields = [
  ['errorId', '0'],
  ['errorCode', '""'],
  ['errorDescription', 'null']
]

const VALID: ReadonlyArray<Fields> = [
  [...NO_ERROR, ['taskId', '"task-1"']],
  [...NO_ERROR, ['taskId', '"task-1"'], ['status', '"ready"'], ['solution', '{"gRecaptchaResponse":"token"}']],
  [...NO_ERROR, ['status', '"processing"']],
  [...NO_ERROR, ['status', '"ready"'], ['solution', '{"gRecaptchaResponse":"token"}']],
  [
    ['errorId', '1'],
    ['errorCode', '"ERROR_CAPTCHA_UNSOLVABLE"'],
    ['errorDescription', '"no"']
  ]
]

const name = fc.constantFrom('errorId', 'errorCode', 'errorDescription', 'taskId', 'status', 'solution', '__proto__')
const json = fc.oneof(
  { weight: 9, arbitrary: fc.constantFrom(...NASTY_VALUES) },
  { weight: 1, arbitrary: fc.json({ maxDepth: 2 }) }
)

const change: fc.Arbitrary<(fields: Fields) => Fields> = fc.oneof(
  fc.tuple(name, json).map(
    ([changed, other]) =>
      (fields: Fields) =>
        fields.map(([field, value]) => [field, field === changed ? other : value] as const)
  ),
  name.map((removed) => (fields: Fields) => fields.filter(([field]) => field !== removed)),
  fc.tuple(name, json).map((last) => (fields: Fields) => [...fields, last]),
  fc.tuple(name, json).map((first) => (fields: Fields) => [first, ...fields])
)

const write = (fields: Fields): string => `{${fields.map(([field, value]) => `"${field}":${value}`).join(',')}}`

const document = fc
  .tuple(fc.constantFrom(...VALID), fc.array(change, { maxLength: 3 }))
  .map(([valid, changes]) => write(changes.reduce((fields, apply) => apply(fields), valid)))

/** What servers and scripts print around a document, and what only looks like one. */
const surroundings = fc.oneof(
  fc.constantFrom(
    ...['\n', '\t', '\u0001', 'NaN', ',}', ' ,\n]', ',"cost":-Infinity', '"errorId":1,', '"errorId": "2"'],
    ...[
      '\ufeff',
      '\ufeff\ufeff',
      ' \n',
      '<!-- -->',
      'null',
      '{}',
      '{',
      '}',
      '"',
      '\\',
      '\u0000',
      ',',
      '{"',
      '{ "a":1}'
    ],
    ...[
      '<br /><b>Warning</b>: proxy() in <b>/var/www/task.php</b> on line <b>7</b><br />',
      'callback(',
      ');',
      'data: '
    ],
    ...[
      '<script>var a={"b":{}};</script>',
      "can't open 'cache'",
      '{"taskId":"task-2"}',
      '"taskId":"task-1"',
      "'taskId':1"
    ],
    ...[
      '{"taskId":9007199254740993}',
      '"taskId":123',
      '{"errorId":0}',
      '{"errorId":0,"status":"processing"}',
      `${KEY}\n`
    ],
    '{"errorId":0,"status":"ready","solution":{"gRecaptchaResponse":"another"}}'
  ),
  document
)

const spoil: fc.Arbitrary<(text: string) => string> = fc.oneof(
  { weight: 12, arbitrary: fc.constant((text: string) => text) },
  fc.nat(120).map((length) => (text: string) => text.slice(0, length)),
  { weight: 3, arbitrary: surroundings.map((before) => (text: string) => before + text) },
  { weight: 3, arbitrary: surroundings.map((after) => (text: string) => text + after) },
  fc.tuple(surroundings, surroundings).map(
    ([before, after]) =>
      (text: string) =>
        before + text + after
  ),
  fc.tuple(fc.nat(120), surroundings).map(
    ([at, within]) =>
      (text: string) =>
        text.slice(0, at) + within + text.slice(at)
  ),
  fc.constantFrom(
    (text: string) => `[${text}]`,
    (text: string) => `{"data":${text}}`,
    (text: string) => `{"data":${text},"cost":NaN}`,
    (text: string) => `{"cost":NaN,${text.slice(1)}`,
    (text: string) => `{"note":"a\nb",${text.slice(1)}`,
    (text: string) => `{"lines":"a\\\nb\t\u0000",${text.slice(1)}`,
    (text: string) => text.replace(/[}\]]/g, ' ,\n$&'),
    (text: string) => text.replaceAll('"', '"\n'),
    (text: string) => `{note:1,${text.slice(1)}`,
    (text: string) => text + text,
    (text: string) => text.replaceAll('"', "'"),
    (text: string) => JSON.stringify(JSON.stringify(text)),
    JSON.stringify,
    (text: string) => text.replaceAll(':', ' :\t')
  ),
  fc.nat(3_000).map((depth) => (text: string) => `{"deep":${'['.repeat(depth)}${']'.repeat(depth)},${text.slice(1)}`),
  fc.nat(3_000).map((depth) => () => '{"a":'.repeat(depth))
)

const encode: fc.Arbitrary<(text: string) => Buffer> = fc.oneof(
  { weight: 12, arbitrary: fc.constant((text: string) => Buffer.from(text)) },
  fc.constant((text: string) => Buffer.from(`\ufeff${text}`, 'utf16le')),
  fc.constant((text: string) => Buffer.from(text, 'utf16le')),
  fc.constant((text: string) => Buffer.from(`\ufeff${text}`, 'utf16le').swap16()),
  fc.constant((text: string) => Buffer.from(text, 'latin1')),
  fc.uint8Array({ maxLength: 60 }).map((bytes) => () => Buffer.from(bytes)),
  fc.tuple(fc.nat(200), fc.nat(255)).map(([at, byte]) => (text: string) => {
    const bytes = Buffer.from(text)
    if (at < bytes.length) bytes[at] = byte
    return bytes
  })
)

const bytes = fc.tuple(document, spoil, encode).map(([text, spoiled, encoded]) => encoded(spoiled(text)))

const status = fc.oneof(
  { weight: 5, arbitrary: fc.constant(200) },
  { weight: 4, arbitrary: fc.constantFrom(201, 204, 301, 302, 307, 400, 401, 403, 404, 408, 429, 500, 502, 503, 504) },
  { weight: 1, arbitrary: fc.integer({ min: 100, max: 999 }) }
)

const retryAfter = fc.constantFrom(
  ...[undefined, '0', '1', '7', '3600', '-1', '1.5', '1e9', '99999999999999999999', '', 'soon'],
  ...['Wed, 21 Oct 2065 07:28:00 GMT', 'Wed, 21 Oct 1965 07:28:00 GMT', 'Wed, 99 Oct 2065 77:28:00 GMT']
)
const retryAfterMs = fc.constantFrom(
  undefined,
  0,
  -0,
  -1,
  1.5,
  7_000,
  3_600_000,
  2 ** 31,
  1e300,
  Infinity,
  -Infinity,
  NaN
)

const encoding = fc.oneof(
  { weight: 9, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.constantFrom('gzip', 'gzip', 'gzip, gzip', 'identity', 'deflate', 'br', 'x') }
)

const end = fc.oneof(
  { weight: 8, arbitrary: fc.constant('whole' as const) },
  { weight: 2, arbitrary: fc.constant('broken' as const) },
  { weight: 1, arbitrary: fc.constant('open' as const) }
)

/** How many bytes of a compressed reply do not arrive. */
const missing = fc.oneof(
  { weight: 3, arbitrary: fc.constant(0) },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 60 }) }
)

const fuzzed: fc.Arbitrary<FuzzedReply> = fc
  .record({
    status,
    bytes,
    end,
    encoding,
    missing,
    retryAfter,
    retryAfterMs
  })
  .map(({ missing, ...reply }) =>
    reply.encoding === 'gzip' && reply.bytes.length % 4 > 0
      ? { ...reply, bytes: withoutLast(gzipSync(reply.bytes, { level: 1 }), missing) }
      : reply
  )

const withoutLast = (bytes: Buffer, count: number) => bytes.subarray(0, Math.max(0, bytes.length - count))

const asDocumented = (fields: Fields): FuzzedReply => ({
  status: 200,
  bytes: Buffer.from(write(fields)),
  end: 'whole',
  encoding: undefined,
  retryAfter: undefined,
  retryAfterMs: undefined
})

/** The replies to the createTask requests, and to the polls, of one solve. The last one of each is repeated. */
export interface FuzzedScript {
  readonly creates: ReadonlyArray<FuzzedReply>
  readonly polls: ReadonlyArray<FuzzedReply>
}

export const fuzzedScripts: fc.Arbitrary<FuzzedScript> = fc.record({
  creates: fc.oneof(
    fc.array(fuzzed, { minLength: 1, maxLength: 2 }),
    fc.constant(VALID.slice(0, 1).map(asDocumented)) // a task id, so that there are polls
  ),
  polls: fc.array(fuzzed, { minLength: 1, maxLength: 5 })
})
