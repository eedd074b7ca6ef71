import * as E from 'fp-ts/lib/Either.js'
import * as t from 'io-ts'
import { MAX_PROBLEMS, isRecord, problemsOf, readSafely, type Problems } from './problems.js'
import { suggest } from './suggest.js'

/**
 * Thrown at once by `createSolver`, `withOptions`, `solveAll`, `call`, `close`, `retryLeft`, `defineTask`, `defineCall`,
 * `taskWorkerOptions`, `taskProcessor` and `submitAll`, and the rejection of `startEmulator` and `fileJournal`, for arguments
 * that cannot work or options that do not exist: a mistake in the program, not an outcome. `problems` names each field and what
 * is expected there; it holds no values, because they may be secret.
 *
 * @since 0.1.0
 */
export class InvalidOptions extends Error {
  override readonly name = 'InvalidOptions'

  constructor(readonly problems: Problems) {
    super(`Invalid options: ${problems.join('; ')}. This call sent nothing.`)
  }
}

/** The codec of each option. */
export type OptionCodecs<O> = Readonly<Record<keyof O, t.Mixed>>

/**
 * Checks options and returns a copy of them. Each is read once, so a getter or a later change cannot alter what was checked.
 *
 * @param codecs - the codecs of all options; any other option is a problem
 * @param codecsFor - codecs that depend on other options, in place of those in `codecs`
 * @throws InvalidOptions with all problems
 */
export const checkOptions = <O extends object>(
  codecs: OptionCodecs<O>,
  options: O,
  codecsFor: (given: Readonly<Partial<Record<keyof O, unknown>>>) => Partial<OptionCodecs<O>> = () => ({})
): O => {
  const names = Object.keys(codecs)
  const given = readSafely('the options', () => readOptions(names, options))
  if (E.isLeft(given)) throw new InvalidOptions(given.left)
  const { unknown, values } = given.right
  const decoded = t.type({ ...codecs, ...codecsFor(values as O) }).decode(values)
  const problems = [
    ...unknown.slice(0, MAX_PROBLEMS).map((name) => unknownOption(name, names)),
    ...(E.isLeft(decoded) ? problemsOf(decoded.left, Infinity) : [])
  ]
  if (problems.length > 0) throw new InvalidOptions(problems)
  return values as O
}

const readOptions = (names: ReadonlyArray<string>, options: unknown) =>
  isRecord(options)
    ? E.right({
        unknown: Object.keys(options).filter((name) => !names.includes(name)),
        values: Object.fromEntries(names.map((name) => [name, options[name]]))
      })
    : E.left(['the options: expected an object'])

const unknownOption = (name: string, names: ReadonlyArray<string>): string => {
  const meant = suggest(name, names)
  const shown = /^[\w$-]{1,40}$/.test(name) ? name : JSON.stringify(name.slice(0, 40))
  return `${shown}: unknown option${meant === undefined ? '' : ` (did you mean ${meant}?)`}`
}
