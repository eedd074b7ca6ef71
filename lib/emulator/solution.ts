import { inspect } from 'node:util'
import type { EmulatorOptions } from './model.js'
import type { JsonObject } from './protocol.js'

export interface GivenSolution {
  readonly solution: unknown
}

/** A function of the user gave no solution. */
export interface FailedToSolve {
  readonly failure: string
}

export const hasFailed = (given: GivenSolution | FailedToSolve | undefined): given is FailedToSolve =>
  given !== undefined && 'failure' in given

/** The solution of a task by the function for its type; undefined if there is none. */
export const solutionGiven = (
  solutions: NonNullable<EmulatorOptions['solutions']>,
  task: JsonObject
): GivenSolution | FailedToSolve => {
  const type = String(task.type)
  try {
    const solution = solutions[type]?.(task)
    return solution === undefined || canBeSent(solution)
      ? { solution }
      : { failure: `solutions.${type} returned no JSON value\n` }
  } catch (error) {
    return { failure: `solutions.${type} failed: ${error instanceof Error ? error.message : inspect(error)}\n` }
  }
}

/** Whether JSON can hold a value; throws for a bigint and for an object that holds itself. */
const canBeSent = (solution: unknown): boolean => (JSON.stringify(solution) as string | undefined) !== undefined
