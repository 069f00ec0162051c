import { Watcher } from '../live/watcher.ts';
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

/** One watcher of one command. */
export class CommandSubscription extends Watcher<CommandRecord> {
  readonly #command: WatchedCommand;
  /** A read that began after this did has been made. */
  #hasBegun = false;
  #given: CommandRecord | undefined;

  /** @param leave called once, when nobody listens any more */
  constructor(command: WatchedCommand, leave: () => void) {
    super(leave);
    this.#command = command;
  }

  /** From now on what was read is handed out. It is over where there is no such command. */
  begin(): void {
    this.#hasBegun = true;
    if (this.#command.record === undefined) this.end();
    else this.wake();
  }

  protected override take(): CommandRecord | undefined {
    const { record } = this.#command;
    if (!this.#hasBegun || record === undefined) return undefined;
    if (record.status === this.#given?.status && record.attempts === this.#given.attempts) return undefined;
    this.#given = record;
    if (ENDS.has(record.status)) this.end();
    return record;
  }
}
