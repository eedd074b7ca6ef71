/** Durations, kept to three digits: as many as there are, they take the memory of some thousands. */
export class Spread {
  readonly #counts = new Map<number, number>()
  #total = 0

  add(ms: number): void {
    const rounded = Number(Math.max(0, ms).toPrecision(3))
    this.#counts.set(rounded, (this.#counts.get(rounded) ?? 0) + 1)
    this.#total += 1
  }

  get total(): number {
    return this.#total
  }

  /** The shortest duration that such a share of all do not exceed. */
  quantile(share: number): number {
    let left = share * this.#total
    for (const [ms, count] of this.#sorted()) {
      left -= count
      if (left <= 0) return ms
    }
    return 0
  }

  /** Counts in a few steps of the same, round width. */
  steps(most: number): ReadonlyArray<{ readonly fromMs: number; readonly toMs: number; readonly count: number }> {
    const sorted = this.#sorted()
    const [first = 0, last = 0] = [sorted[0]?.[0], sorted.at(-1)?.[0]]
    const widthMs = roundWidth((last - first) / (most - 1))
    const begin = Math.floor(first / widthMs)
    const counts = Array.from({ length: Math.floor(last / widthMs) - begin + 1 }, () => 0)
    for (const [ms, count] of sorted) {
      const at = Math.floor(ms / widthMs) - begin
      counts[at] = (counts[at] ?? 0) + count
    }
    return counts.map((count, at) => ({ fromMs: (begin + at) * widthMs, toMs: (begin + at + 1) * widthMs, count }))
  }

  #sorted(): ReadonlyArray<readonly [ms: number, count: number]> {
    return [...this.#counts].sort(([one], [other]) => one - other)
  }
}

/** The next of 1, 2, 5, 10, 20, … */
const roundWidth = (atLeast: number): number => {
  const power = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, atLeast))))
  return [1, 2, 5, 10].map((digit) => digit * power).find((width) => width >= atLeast) ?? power
}
