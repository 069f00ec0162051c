import { setTimeout as delay } from 'node:timers/promises';
import type { Clock } from '../../platform/clock.ts';
import { isDatabaseAway } from '../../platform/failures.ts';
import type { Logger } from '../../platform/logger.ts';
import type { LogTail } from '../log/log-tail.ts';
import type { StoredEvent, StoredEvents } from '../log/stored-events.ts';
import type { KnownCheckpoint } from './known-checkpoint.ts';
import { type Checkpoint, chained, checkpointOf, GENESIS, HASH_BYTES, isSigned, STRETCH, signed } from './log-seal.ts';
import type { SealKey, SealKeys } from './seal-keys.ts';
import { isWhole, type SealStore, type Standing } from './seal-store.ts';
import { SmallSeals } from './small-seals.ts';

/** The log is not as it was when it was sealed, or cannot be sealed. The message says what is wrong, and what to do. */
export class CannotSeal extends Error {
  override readonly name = 'CannotSeal';
}

/** While events come, they wait no longer than this for their seal. */
const PATIENCE_MS = 1_000;
/** How long a server looks on that saw another one seal. */
const STANDBY_MS = 3_000;
const RETRY_MS = 2_000;

export interface SealerParts {
  readonly store: SealStore;
  readonly events: StoredEvents;
  readonly tail: LogTail;
  readonly keys: SealKeys;
  readonly known: KnownCheckpoint;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How far the log is sealed, as this process knows it. */
export interface SealerState {
  readonly position: number;
  /** Why it goes no further; null where nothing is wrong. */
  readonly problem: string | null;
}

/**
 * Seals the log behind those who append to it: hashes of events, chained and signed. Woken by the tail; on an idle log it
 * does nothing. Any number of servers may do it: one gets through with each seal, the others look on.
 */
export class Sealer {
  readonly #parts: SealerParts;
  readonly #small: SmallSeals;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;
  #ring: (() => void) | undefined;
  #unfollow: () => void = () => {};
  /** Up to here the log is sealed, as far as this process knows. */
  #position = 0;
  #isStandby = false;
  #problem: string | null = null;

  constructor(parts: SealerParts) {
    this.#parts = parts;
    this.#small = new SmallSeals(parts.store, parts.keys);
  }

  get state(): SealerState {
    return { position: this.#position, problem: this.#problem };
  }

  start(): void {
    this.#unfollow = this.#parts.tail.follow(() => this.#ring?.());
    this.#running = this.#run();
  }

  /** Stops after what it is at; and seals what came last, if that is quickly done. */
  async stop(): Promise<void> {
    this.#unfollow();
    this.#stopped.abort();
    this.#ring?.();
    if (this.#running === undefined) return;
    await this.#running;
    const isQuick = this.#waiting > 0 && this.#waiting <= STRETCH;
    if (isQuick && !this.#isStandby && this.#problem === null) await this.#sealNext().catch(() => {});
    await this.#parts.known.keep();
  }

  get #waiting(): number {
    return this.#parts.tail.head - this.#position;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    for (;;) {
      await this.#untilDue();
      if (signal.aborted) return;
      try {
        await this.#sealAll();
        this.#problem = null;
      } catch (error) {
        await this.#afterFailure(error);
      }
    }
  }

  /** Nothing is read or asked as long as nothing was appended. */
  async #untilDue(): Promise<void> {
    const { signal } = this.#stopped;
    while (this.#waiting <= 0 && this.#problem === null && !signal.aborted) await this.#bell();
    if (this.#problem !== null || signal.aborted) return;
    const patience = new AbortController();
    const over = delay(this.#isStandby ? STANDBY_MS : PATIENCE_MS, 'over', { signal: patience.signal }).catch(
      () => 'over',
    );
    while (!signal.aborted && (this.#isStandby || this.#waiting < STRETCH)) {
      if ((await Promise.race([over, this.#bell()])) === 'over') break;
    }
    patience.abort();
  }

  #bell(): Promise<void> {
    return new Promise((resolve) => {
      this.#ring = resolve;
    });
  }

  /** In steps, with pauses in between: those who append and read go first. */
  async #sealAll(): Promise<void> {
    const { signal } = this.#stopped;
    for (;;) {
      const begun = performance.now();
      const isDone = !(await this.#sealNext());
      if (isDone || this.#waiting < STRETCH || signal.aborted) return;
      await delay(performance.now() - begun, undefined, { signal }).catch(() => {});
    }
  }

  /** @returns whether something was sealed */
  async #sealNext(): Promise<boolean> {
    const { store, events: log, known, clock } = this.#parts;
    // First what must be held, then what is: another process may seal, and keep what it sealed, between the two.
    const wanted = await known.all();
    const standing = await store.standing();
    const newest = await this.#newest();
    const before = this.#position;
    await this.#expectToHold(wanted, newest, standing);
    if (newest !== undefined) {
      this.#position = newest.position;
      await known.see(newest, this.#waiting <= 0);
      // Somebody else is at it.
      if (this.#isStandby && newest.position > before) return false;
    }
    const after = newest?.position ?? 0;
    // What stands behind the end of the log is none of it: it holds nobody up, and `verify` names it.
    const events = (await log.readAfter(after, STRETCH)).filter(({ position }) => position <= standing.position);
    const last = events.at(-1);
    if (last === undefined) return false;
    expectWhole(after, events);
    const previous = newest?.hash ?? GENESIS;
    const key = this.#key(standing);
    const unsigned = {
      epoch: standing.epoch,
      firstPosition: after + 1,
      position: last.position,
      sealedAt: clock.now(),
    };
    const seal = signed({ ...unsigned, hashes: hashesOf(previous, events) }, key);
    this.#isStandby = !(await store.add(seal, previous));
    if (this.#isStandby) return false;
    this.#position = seal.position;
    await known.see(checkpointOf(seal), this.#waiting <= 0);
    if (events.length < STRETCH) await this.#small.added(key);
    return true;
  }

  async #newest(): Promise<Checkpoint | undefined> {
    const { store, keys } = this.#parts;
    const stored = await store.newest();
    if (stored === undefined) return undefined;
    const newest = isWhole(stored) ? checkpointOf(stored) : undefined;
    if (newest !== undefined && isSigned(newest, keys)) return newest;
    throw new CannotSeal(
      `The newest seal (event ${stored.position}) is not signed with a key made from this master key. Run \`cartstream ` +
        'verify`. If the master key was changed, set MASTER_KEY_PREVIOUS and run `cartstream keys rotate-master` to the end.',
    );
  }

  /** What was sealed once must be there: what is under a seal that was taken away is not sealed anew. */
  async #expectToHold(
    wanted: readonly Checkpoint[],
    newest: Checkpoint | undefined,
    { epoch }: Standing,
  ): Promise<void> {
    const { store, known } = this.#parts;
    for (const checkpoint of wanted) {
      const { position, hash } = checkpoint;
      const sealed = newest?.position ?? 0;
      const held = newest?.position === position ? newest.hash : await store.hashAt(position);
      if (sealed >= position && held?.equals(hash)) continue;
      await known.refuse();
      const where = known.place === undefined ? 'this server' : `this server, or ${known.place},`;
      throw new CannotSeal(
        `Up to event ${position} the log was sealed, as ${where} knows; ` +
          (sealed < position ? `now up to event ${sealed} only` : `now event ${position} is another`) +
          (epoch === checkpoint.epoch ? '' : `, and the store begins another epoch (${epoch})`) +
          '. Either the store was restored or exchanged, or somebody changed it. Run `cartstream verify`; if it was you, ' +
          'run `cartstream verify --accept`. Nothing is sealed until then.',
      );
    }
  }

  #key({ keyId }: Standing): SealKey {
    const key = keyId === null ? undefined : this.#parts.keys.find(keyId);
    if (key !== undefined) return key;
    throw new CannotSeal(
      'The store went over to a master key that this server does not know: restart it with that one.',
    );
  }

  async #afterFailure(error: unknown): Promise<void> {
    const { logger } = this.#parts;
    const { signal } = this.#stopped;
    if (signal.aborted) return;
    if (!isDatabaseAway(error)) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== this.#problem) logger.error({ err: error }, 'the log cannot be sealed any further');
      this.#problem = problem;
    }
    await delay(RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

/** The hash of each event, one after the other. */
function hashesOf(previous: Buffer, events: readonly StoredEvent[]): Buffer {
  const hashes = Buffer.allocUnsafe(events.length * HASH_BYTES);
  let hash = previous;
  for (const [at, { line }] of events.entries()) {
    hash = chained(hash, line);
    hash.copy(hashes, at * HASH_BYTES);
  }
  return hashes;
}

/** What is missing already is not sealed over. */
function expectWhole(after: number, events: readonly StoredEvent[]): void {
  const at = events.findIndex(({ position }, index) => position !== after + 1 + index);
  if (at === -1) return;
  throw new CannotSeal(`Event ${after + 1 + at} is missing in the log. Run \`cartstream verify\`.`);
}
