// For projects with neither the library `esnext.disposable` nor `@types/node`, which declare the same. Node has it since 20.4.
declare global {
  interface SymbolConstructor {
    readonly asyncDispose: unique symbol
  }
}

/**
 * What `await using` closes at the end of its block.
 *
 * @since 0.1.0
 */
export interface AsyncDisposal {
  /** Called at the end of the block, and awaited. */
  readonly [Symbol.asyncDispose]: () => Promise<void>
}
