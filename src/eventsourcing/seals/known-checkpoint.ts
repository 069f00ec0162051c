import type { Logger } from '../../platform/logger.ts';
import { type Checkpoint, checkpointToken, parseCheckpoint } from './log-seal.ts';

/** A place outside the database, where one line of text is kept. */
export interface CheckpointPlace {
  /** For people: the path of a file. */
  readonly name: string;
  /** Undefined where nothing is kept yet. */
  read(): Promise<string | undefined>;
  /** @throws where what is kept there cannot be understood: it is not written over */
  write(token: string): Promise<void>;
}

/** How often, at most, it is written. */
const WRITE_MS = 1_000;

/**
 * The newest checkpoint that this process has seen, and the one that is kept outside the database. The log must hold both,
 * or nothing more of it is sealed: who can write to the database could otherwise take away seals, change what was under
 * them, and have it sealed anew.
 */
export class KnownCheckpoint {
  readonly #place: CheckpointPlace | undefined;
  readonly #logger: Logger;
  #seen: Checkpoint | undefined;
  #writtenAt = Number.NEGATIVE_INFINITY;
  #written: string | undefined;
  #hasWarned = false;
  /** What was kept when the log was found not to hold it. */
  #refused: string | null | undefined;

  constructor(place: CheckpointPlace | undefined, logger: Logger) {
    this.#place = place;
    this.#logger = logger;
  }

  /** For people: where it is kept. */
  get place(): string | undefined {
    return this.#place?.name;
  }

  /** What the log must hold. @throws where what is kept cannot be read */
  async all(): Promise<Checkpoint[]> {
    const kept = await this.#place?.read();
    // An operator has put something else there, or taken it away: they know why the log is another.
    if (this.#refused !== undefined && (kept ?? null) !== this.#refused) this.#accept();
    const parsed = kept === undefined ? undefined : parseCheckpoint(kept);
    if (kept !== undefined && parsed === undefined)
      throw new Error(`${this.place} does not hold a checkpoint that can be read.`);
    return [this.#seen, parsed].filter((it) => it !== undefined);
  }

  /** The log holds this one now. @param isLast for now no other will follow: it is kept at once */
  async see(checkpoint: Checkpoint, isLast: boolean): Promise<void> {
    this.#seen = checkpoint;
    if (isLast || performance.now() - this.#writtenAt >= WRITE_MS) await this.#write(checkpoint);
  }

  /** What was seen last is kept, if it is not yet, and the log holds it. */
  async keep(): Promise<void> {
    if (this.#seen !== undefined && this.#refused === undefined) await this.#write(this.#seen);
  }

  /** The log does not hold all of them: what was seen last is kept, until an operator has decided. */
  async refuse(): Promise<void> {
    if (this.#refused !== undefined || this.#place === undefined) return;
    const kept = await this.#place.read().catch(() => undefined);
    const parsed = kept === undefined ? undefined : parseCheckpoint(kept);
    // Never an older one over a newer one: that may be the very one that is not held.
    const isNewer = this.#seen !== undefined && (parsed === undefined || parsed.position < this.#seen.position);
    if (this.#seen !== undefined && isNewer) await this.#write(this.#seen);
    this.#refused = (await this.#place.read().catch(() => undefined)) ?? null;
  }

  #accept(): void {
    this.#refused = undefined;
    this.#seen = undefined;
    this.#written = undefined;
  }

  async #write(checkpoint: Checkpoint): Promise<void> {
    const token = checkpointToken(checkpoint);
    if (this.#place === undefined || token === this.#written) return;
    try {
      await this.#place.write(token);
      this.#written = token;
      this.#writtenAt = performance.now();
    } catch (error) {
      if (!this.#hasWarned)
        this.#logger.warn(
          { err: error, file: this.place },
          'checkpoints of the log cannot be kept outside the database',
        );
      this.#hasWarned = true;
    }
  }
}
