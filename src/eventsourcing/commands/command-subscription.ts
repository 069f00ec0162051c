import type { CommandStatus } from './command.ts';
import type { CommandRecord } from './command-records.ts';

/** What never changes again. A command that failed may: an operator can have it tried again. */
const ENDS: ReadonlySet<CommandStatus> = new Set(['SUCCEEDED', 'REJECTED', 'TIMED_OUT', 'CANCELLED']);

/** A watched command: one object for all who watch it. */
export interface WatchedCommand {
  readonly commandId: string;
  readonly subscriptions: Set<CommandSubscription>;
  /** As it was last read. */
  record: CommandRecord | undefined;
}

/** One watcher of one command. By hand and not an async generator, for the reason that LiveSubscription has. */
export class CommandSubscription implements AsyncIterableIterator<CommandRecord> {
  readonly #command: WatchedCommand;
  readonly #leave: () => void;
  /** A read that began after this did has been made. */
  #hasBegun = false;
  #isOver = false;
  #given: CommandRecord | undefined;
  #failure: { readonly error: unknown } | undefined;
  #wakes: (() => void)[] = [];

  /** @param leave called once, when nobody listens any more */
  constructor(command: WatchedCommand, leave: () => void) {
    this.#command = command;
    this.#leave = leave;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** From now on what was read is handed out. It is over where there is no such command. */
  begin(): void {
    this.#hasBegun = true;
    if (this.#command.record === undefined) this.#end();
    else this.wake();
  }

  /** There may be something new. */
  wake(): void {
    for (const wake of this.#wakes.splice(0)) wake();
  }

  /** Ends with this error: whoever asks next is told. */
  fail(error: unknown): void {
    if (this.#isOver) return;
    this.#failure = { error };
    this.#end();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async next(): Promise<IteratorResult<CommandRecord, undefined>> {
    while (!this.#isOver) {
      const record = this.#news();
      if (record !== undefined) {
        this.#given = record;
        if (ENDS.has(record.status)) this.#end();
        return { done: false, value: record };
      }
      await new Promise<void>((resolve) => {
        this.#wakes.push(resolve);
      });
    }
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure !== undefined) throw failure.error;
    return { done: true, value: undefined };
  }

  async return(): Promise<IteratorResult<CommandRecord, undefined>> {
    this.#failure = undefined;
    this.#end();
    return { done: true, value: undefined };
  }

  async throw(): Promise<IteratorResult<CommandRecord, undefined>> {
    return this.return();
  }

  #news(): CommandRecord | undefined {
    const { record } = this.#command;
    if (!this.#hasBegun || record === undefined) return undefined;
    const isNews = record.status !== this.#given?.status || record.attempts !== this.#given.attempts;
    return isNews ? record : undefined;
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leave();
    this.wake();
  }
}
