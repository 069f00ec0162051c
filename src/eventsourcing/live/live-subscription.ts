import type { RecordedEvent } from '../log/event.ts';

/** What a subscriber is given: the row as it stands, and the events since what it was given before. */
export interface LiveChange<Row> {
  readonly row: Row;
  /** Resume from here: every event of this row up to it was handed out. */
  readonly position: number;
  readonly events: readonly RecordedEvent[];
}

/**
 * One watcher of one row. Written by hand and not as an async generator, which would not hear `return()` while it waits
 * for the next change, and so would never be cleaned up.
 */
export class LiveSubscription<Row> implements AsyncIterableIterator<LiveChange<Row>> {
  readonly #read: (from: number | undefined, isFirst: boolean) => Promise<LiveChange<Row>> | undefined;
  readonly #leave: () => void;
  #from: number | undefined;
  #isFirst = true;
  #isClosed = false;
  #wakes: (() => void)[] = [];
  #failure: Error | undefined;

  /**
   * @param read the change since a position, if there is one; for the first payload there always is
   * @param leave called once, when nobody listens any more
   */
  constructor(
    read: (from: number | undefined, isFirst: boolean) => Promise<LiveChange<Row>> | undefined,
    leave: () => void,
  ) {
    this.#read = read;
    this.#leave = leave;
  }

  /** Sets the position that the first payload's events come after. */
  begin(after: number | undefined): void {
    this.#from = after;
  }

  /** Ends it with an error, which the watcher is given next. */
  fail(error: Error): void {
    this.#failure ??= error;
    this.wake();
  }

  /** What it is given next is as if it were the first payload: the row as it stands, though there may be no event. */
  showAgain(): void {
    this.#isFirst = true;
    this.wake();
  }

  /** There may be something new. */
  wake(): void {
    for (const wake of this.#wakes.splice(0)) wake();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<LiveChange<Row>, undefined>> {
    while (!this.#isClosed) {
      if (this.#failure !== undefined) {
        await this.return();
        throw this.#failure;
      }
      const reading = this.#read(this.#from, this.#isFirst);
      if (reading !== undefined) {
        const change = await reading.catch(async (error: unknown) => {
          // An iterator that threw is over: nobody calls return() on it.
          await this.return();
          throw error;
        });
        if (this.#isClosed) break;
        this.#isFirst = false;
        this.#from = change.position;
        return { done: false, value: change };
      }
      await new Promise<void>((resolve) => {
        this.#wakes.push(resolve);
      });
    }
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<LiveChange<Row>, undefined>> {
    if (!this.#isClosed) {
      this.#isClosed = true;
      this.#leave();
      this.wake();
    }
    return { done: true, value: undefined };
  }

  async throw(): Promise<IteratorResult<LiveChange<Row>, undefined>> {
    return this.return();
  }
}
