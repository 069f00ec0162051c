/**
 * Watches something that changes, as an async iterator. Who is slow is given fewer, newer values: what it was given last is
 * all that is kept of it.
 *
 * Written by hand and not as an async generator, which would not hear `return()` while it waits for the next change, and so
 * would never be cleaned up.
 */
export abstract class Watcher<Value> implements AsyncIterableIterator<Value> {
  readonly #leave: () => void;
  #isOver = false;
  #isLeft = false;
  #failure: { readonly error: unknown } | undefined;
  #wakes: (() => void)[] = [];

  /** @param leave called once, when nobody listens any more */
  constructor(leave: () => void) {
    this.#leave = leave;
  }

  /** What is new since it was called last; undefined where nothing is. */
  protected abstract take(): Promise<Value> | Value | undefined;

  get isOver(): boolean {
    return this.#isOver;
  }

  /** There may be something new. */
  wake(): void {
    for (const wake of this.#wakes.splice(0)) wake();
  }

  /** Ends with this error: whoever asks next is told. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#failure = { error };
    this.end();
  }

  /** Nothing comes after what was taken. */
  protected end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.wake();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<Value, undefined>> {
    while (!this.#isOver) {
      const value = await this.#taken();
      if (this.#isLeft) break;
      if (value !== undefined) return { done: false, value };
    }
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<Value, undefined>> {
    this.#isLeft = true;
    this.#failure = undefined;
    this.end();
    return { done: true, value: undefined };
  }

  async throw(): Promise<IteratorResult<Value, undefined>> {
    return this.return();
  }

  /** @returns undefined where it has to be looked again */
  async #taken(): Promise<Value | undefined> {
    try {
      const taken = this.take();
      if (taken !== undefined) return await taken;
    } catch (error) {
      // An iterator that threw is over: nobody calls return() on it.
      this.end();
      throw error;
    }
    await new Promise<void>((resolve) => {
      this.#wakes.push(resolve);
    });
    return undefined;
  }
}
