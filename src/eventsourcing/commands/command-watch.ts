import { retryWhileAway } from '../database-away.ts';
import type { CommandStatus } from './command.ts';
import type { CommandRecord, CommandRecords } from './command-records.ts';
import { CommandSubscription, type WatchedCommand } from './command-subscription.ts';

const UNFINISHED: ReadonlySet<CommandStatus> = new Set(['QUEUED', 'RUNNING']);

/** Commands that are read together; what is asked for before the read begins may still join. */
interface Read {
  readonly ids: Set<string>;
  readonly done: Promise<void>;
}

/**
 * Follows commands to their end. A watcher is the record that it was last given, and no list of what it should still
 * get: a slow one gets fewer, newer records, and costs nothing while it waits.
 *
 * Reads are made one after the other, so none is overtaken by an older one; and who watches is there before the first
 * read for it begins, so nothing falls between that read and the changes after it.
 */
export class CommandWatch {
  readonly #records: Pick<CommandRecords, 'find'>;
  readonly #watched = new Map<string, WatchedCommand>();
  #nextRead: Read | undefined;
  #lastRead: Promise<void> = Promise.resolve();
  /** All that is watched is read again then. */
  #planned: NodeJS.Timeout | undefined;
  #pauseMs = 0;

  constructor(records: Pick<CommandRecords, 'find'>) {
    this.#records = records;
  }

  /** How many commands are watched, and by how many. */
  get watched(): { commands: number; watchers: number } {
    let watchers = 0;
    for (const { subscriptions } of this.#watched.values()) watchers += subscriptions.size;
    return { commands: this.#watched.size, watchers };
  }

  /** Something changed in the command store, here or on another node. */
  wake(): void {
    // Who watches is told of a failure by its subscription.
    if (this.#watched.size === 0 || this.#planned !== undefined) return;
    this.#planned = setTimeout(() => void this.#readAll(), this.#pauseMs).unref();
  }

  /** However much is watched, and however much is going on: most of the time is for others. */
  async #readAll(): Promise<void> {
    const began = performance.now();
    this.#planned = undefined;
    await this.#read([...this.#watched.keys()]).catch(() => {});
    this.#pauseMs = Math.min(4 * (performance.now() - began), 2_000);
  }

  /**
   * The command as it stands, then again after each change of its status or attempts, until it has an end. If the
   * database stays away, the iterator throws: without it nobody knows what was missed.
   * @returns undefined if there is no such command
   */
  async watch(commandId: string): Promise<AsyncIterableIterator<CommandRecord> | undefined> {
    const { subscription, begun } = this.#subscribe(commandId);
    await begun;
    return subscription.isOver ? undefined : subscription;
  }

  /**
   * Waits until a command has neither to wait nor to run any more.
   * @returns undefined if it still has when the time is up, or if there is no such command
   */
  async finished(commandId: string, timeoutMs: number): Promise<CommandRecord | undefined> {
    const { subscription, begun } = this.#subscribe(commandId);
    // The loop is told, too, unless the time was up before.
    begun.catch(() => {});
    const timer = setTimeout(() => void subscription.return(), timeoutMs);
    try {
      for await (const record of subscription) if (!UNFINISHED.has(record.status)) return record;
      return undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  #subscribe(commandId: string) {
    const command = this.#watched.get(commandId) ?? { commandId, subscriptions: new Set(), record: undefined };
    this.#watched.set(commandId, command);
    const subscription = new CommandSubscription(command, () => this.#leave(command, subscription));
    command.subscriptions.add(subscription);
    const begun = this.#read([commandId]).then(() => subscription.begin());
    return { subscription, begun };
  }

  #leave(command: WatchedCommand, subscription: CommandSubscription): void {
    command.subscriptions.delete(subscription);
    if (command.subscriptions.size === 0) this.#watched.delete(command.commandId);
  }

  /** Reads commands anew, after the read that is under way. */
  #read(commandIds: readonly string[]): Promise<void> {
    const read = this.#nextRead ?? this.#planRead();
    for (const commandId of commandIds) read.ids.add(commandId);
    return read.done;
  }

  #planRead(): Read {
    const ids = new Set<string>();
    const done = this.#lastRead.then(() => {
      this.#nextRead = undefined;
      return this.#show(ids);
    });
    this.#lastRead = done.catch(() => {});
    this.#nextRead = { ids, done };
    return this.#nextRead;
  }

  async #show(ids: ReadonlySet<string>): Promise<void> {
    const wanted = [...ids].filter((commandId) => this.#watched.has(commandId));
    if (wanted.length === 0) return;
    try {
      const records = await retryWhileAway(() => this.#records.find(wanted));
      for (const commandId of wanted) {
        const command = this.#watched.get(commandId);
        if (command === undefined) continue;
        command.record = records.get(commandId);
        for (const subscription of command.subscriptions) subscription.wake();
      }
    } catch (error) {
      for (const commandId of wanted) {
        for (const subscription of this.#watched.get(commandId)?.subscriptions ?? []) subscription.fail(error);
      }
      throw error;
    }
  }
}
