import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import type { Ids } from '../../platform/ids.ts';
import type { Logger } from '../../platform/logger.ts';
import type { ReadRecord, ReadRecords } from './read-records.ts';

/** So long, or until there are so many, reads gather for one statement. */
const GATHER_MS = 100;
const BATCH = 500;
/** While the database is away so many wait in memory, a few megabytes; what comes then is lost, and counted. */
const MAX_WAITING = 20_000;
const LONGEST_PAUSE_MS = 5_000;
/** How long a server that stops waits for a database that is away. */
const FAREWELL_MS = 5_000;
/** Longer ones are cut: nobody makes the database keep what they like. */
const MAX_TEXT = 200;

const DAY_MS = 86_400_000;
const SWEEP_EVERY_MS = 3_600_000;
const SWEEP_BATCH = 1_000;
const SWEEP_PAUSE_MS = 50;

export interface ReadAuditParts {
  readonly records: ReadRecords;
  /** Whether reads are recorded from now on. What was recorded before is kept as long, and can be read, either way. */
  readonly isOn: boolean;
  readonly keptDays: number;
  readonly clock: Clock;
  readonly ids: Ids;
  readonly logger: Logger;
}

/** What of a read only the reader's operation knows. */
export type Read = Omit<ReadRecord, 'id' | 'at'>;

/**
 * Records who read what: behind the answer, many in one statement. Whoever reads never waits for it, and is answered also
 * where it cannot be written: then reads wait in memory, bounded, and what is lost is counted and logged. A process that
 * is killed takes what was gathered within the last instants along. Old records are deleted, a few at a time, by one
 * process at a time.
 */
export class ReadAudit {
  readonly records: ReadRecords;
  readonly #parts: ReadAuditParts;
  readonly #stopped = new AbortController();
  #waiting: ReadRecord[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #sweeping: Promise<void> = Promise.resolve();
  #cancelSweep = () => {};
  #lost = 0;
  #lostAndSaid = 0;

  constructor(parts: ReadAuditParts) {
    this.#parts = parts;
    this.records = parts.records;
  }

  get isOn(): boolean {
    return this.#parts.isOn;
  }

  /** How many reads are not written yet, and how many never will be. */
  get state(): { readonly recorded: boolean; readonly waiting: number; readonly lost: number } {
    return { recorded: this.isOn, waiting: this.#waiting.length, lost: this.#lost };
  }

  start(): void {
    this.#sweepLater(this.#parts.clock.now());
  }

  record(read: Read): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#lose(1);
      return;
    }
    this.#waiting.push(fitted(read, this.#parts));
    if (this.#waiting.length >= BATCH) this.#write();
    else this.#timer ??= setTimeout(() => this.#write(), GATHER_MS);
  }

  /** Writes all that was recorded until now, as far as the database is there. */
  async flush(): Promise<void> {
    this.#write();
    await this.#writing;
  }

  /** Writes what waits; if the database is away, not for ever. */
  async stop(): Promise<void> {
    this.#cancelSweep();
    // A database that neither answers nor goes away is not waited for either.
    const farewell = delay(FAREWELL_MS, undefined, { signal: this.#stopped.signal }).catch(() => {});
    await Promise.race([this.flush(), farewell]);
    this.#stopped.abort();
    await this.#sweeping;
    this.#lose(this.#waiting.splice(0).length);
    this.#sayWhatIsLost();
  }

  #write(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeAll(): Promise<void> {
    const { signal } = this.#stopped;
    let pause = GATHER_MS;
    while (this.#waiting.length > 0 && !signal.aborted) {
      const batch = this.#waiting.slice(0, BATCH);
      try {
        const refused = await this.#insert(batch);
        this.#waiting.splice(0, batch.length);
        this.#lose(refused);
        pause = GATHER_MS;
        this.#sayWhatIsLost();
      } catch (error) {
        if (pause === GATHER_MS)
          this.#parts.logger.warn({ err: error }, 'reads cannot be recorded: they wait in memory');
        await delay(pause, undefined, { signal }).catch(() => {});
        pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
      }
    }
  }

  /** One that the database refuses must not take others with it. @returns how many it refused @throws where it is away */
  async #insert(batch: readonly ReadRecord[]): Promise<number> {
    try {
      await this.records.insert(batch);
      return 0;
    } catch (error) {
      if (isDatabaseAway(error)) throw error;
      if (batch.length === 1) {
        this.#parts.logger.debug({ err: error }, 'a read cannot be recorded');
        return 1;
      }
      const half = Math.ceil(batch.length / 2);
      return (await this.#insert(batch.slice(0, half))) + (await this.#insert(batch.slice(half)));
    }
  }

  #lose(count: number): void {
    this.#lost += count;
    // Said at once when it begins; the rest when it is over, in one line.
    if (this.#lost > 0 && this.#lostAndSaid === 0) this.#sayWhatIsLost();
  }

  #sayWhatIsLost(): void {
    if (this.#lost === this.#lostAndSaid) return;
    this.#lostAndSaid = this.#lost;
    this.#parts.logger.error({ lost: this.#lost }, 'reads could not be recorded, and are lost');
  }

  #sweepLater(at: Date): void {
    this.#cancelSweep = this.#parts.clock.wakeAt(at, () => {
      // A clock may wake before that.
      if (this.#parts.clock.now() < at) return this.#sweepLater(at);
      this.#sweeping = this.#sweep()
        .catch((error: unknown) => {
          this.#parts.logger.warn({ err: error }, 'old records of reads could not be deleted: tried again in an hour');
        })
        .then(() => {
          if (this.#stopped.signal.aborted) return;
          this.#sweepLater(new Date(this.#parts.clock.now().getTime() + SWEEP_EVERY_MS));
        });
    });
  }

  async #sweep(): Promise<void> {
    const { clock, keptDays } = this.#parts;
    const { signal } = this.#stopped;
    const before = new Date(clock.now().getTime() - keptDays * DAY_MS);
    while (!signal.aborted) {
      const deleted = await this.records.deleteBefore(before, SWEEP_BATCH);
      if (deleted === null || deleted < SWEEP_BATCH) return;
      await delay(SWEEP_PAUSE_MS, undefined, { signal }).catch(() => {});
    }
  }
}

/** As columns can hold it: clients choose names and ids, and tokens name whoever they like. */
function fitted(read: Read, { clock, ids }: ReadAuditParts): ReadRecord {
  const { actor, aggregate, operation } = read;
  return {
    ...read,
    id: ids.ordered(),
    at: clock.now(),
    actor: { ...actor, id: actor.id === null ? null : short(actor.id) },
    operation: operation === null ? null : short(operation),
    aggregate: aggregate === null ? null : { type: short(aggregate.type), id: short(aggregate.id) },
  };
}

function short(text: string): string {
  const shortened = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  return shortened.toWellFormed().replaceAll('\u0000', '�');
}
