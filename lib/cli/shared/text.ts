import { getSystemErrorMap } from 'node:util'
import { causeOf } from '../../core/model/network.js'

export { counted, grouped } from '../../core/model/explain.js'

/** Foreign text without control sequences, which would act on the terminal. */
export const printable = (text: string): string => text.replace(/[^\P{C}\n]/gu, '?')

/** Text without the passwords of addresses: the text of a wrong argument may hold one. */
export const withoutPasswords = (text: string): string => text.replace(/(\w:\/\/)[^/@\s]*@/g, '$1…@')

/** A message for people, whatever was thrown. */
export const messageOf = (thrown: unknown): string =>
  typeof thrown === 'object' && thrown !== null && 'message' in thrown ? String(thrown.message) : String(thrown)

/** The code of a system error with the words of Node for it, such as `ENOENT: no such file or directory`; or else the message. */
export const reasonOf = (thrown: unknown): string => {
  const { code } = causeOf(thrown)
  const [, words] = [...getSystemErrorMap().values()].find(([name]) => name === code) ?? []
  return words === undefined ? code || messageOf(thrown) : `${code}: ${words}`
}

/** An argument as a shell reads it. */
export const shellQuoted = (argument: string): string =>
  /^[\w@%+=:,./-]+$/.test(argument) ? argument : `'${argument.replaceAll("'", "'\\''")}'`

export const seconds = (ms: number): string => (ms / 1_000).toFixed(1)

/** A duration for people. */
export const durationText = (ms: number): string => {
  if (ms < 60_000) return `${seconds(ms)} s`
  const minutes = Math.floor(ms / 60_000)
  return minutes < 60
    ? `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`
}
