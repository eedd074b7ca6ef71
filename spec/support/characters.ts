import fc from 'fast-check'

/** Any character, half surrogate pairs included. As fast-check's `binary`, which makes a table of all of them for a second. */
export const anyCharacter = fc.integer({ min: 0, max: 0x10ffff }).map(
  (code) => String.fromCodePoint(code),
  (text) => (typeof text === 'string' && Array.from(text).length === 1 ? text.codePointAt(0)! : NaN)
)
