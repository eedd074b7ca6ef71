/** The name that was probably meant: the nearest one, unless more than a third of its letters differ. */
export const suggest = (given: string, names: ReadonlyArray<string>): string | undefined => {
  if (given.length > MAX_LENGTH) return undefined
  const [nearest] = names
    .map((name) => ({ name, distance: editDistance(given.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance }) => distance <= Math.max(1, name.length / 3))
    .sort((a, b) => a.distance - b.distance)
  return nearest?.name
}

// No known name is longer, and the comparison takes quadratic time.
const MAX_LENGTH = 40

/** How many letters have to be inserted, deleted, replaced, or swapped with their neighbour to turn `a` into `b`. */
const editDistance = (a: string, b: string): number => {
  const letters = Array.from(b)
  let beforeLast: ReadonlyArray<number> = []
  let last: ReadonlyArray<number> = [0, ...letters.map((_, at) => at + 1)]
  Array.from(a).forEach((letter, row, all) => {
    const current = [row + 1]
    letters.forEach((other, column) => {
      const isSwap = letter === letters[column - 1] && other === all[row - 1]
      current.push(
        Math.min(
          at(last, column + 1) + 1,
          at(current, column) + 1,
          at(last, column) + (letter === other ? 0 : 1),
          at(beforeLast, column - 1) + (isSwap ? 1 : Infinity)
        )
      )
    })
    beforeLast = last
    last = current
  })
  return at(last, letters.length)
}

const at = (row: ReadonlyArray<number>, index: number): number => row[index] ?? Infinity
