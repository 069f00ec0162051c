import { isDatabaseAway } from '../../platform/failures.ts';
import type { ArchiveLists, WrongList } from '../archive/archive-lists.ts';
import { failureText } from '../failure-text.ts';
import type { StoredEvent, StoredEvents } from '../log/stored-events.ts';
import { type Finding, recordedAt, sealNamed } from './findings.ts';
import {
  type Checkpoint,
  chained,
  checkpointOf,
  checkpointToken,
  hashAt,
  isSigned,
  type LogSeal,
  STRETCH,
} from './log-seal.ts';
import type { SealKeys } from './seal-keys.ts';
import { isWhole, type SealStore, type StoredSeal } from './seal-store.ts';
import { StretchCheck } from './stretch-check.ts';
import type { Walk } from './walk.ts';

/** So much is done in one step, more or less: a fraction of a second. */
const SEALS_PER_STEP = 10;
const PAGES_PER_STEP = 10;
/** So many findings of a step are told; the others are counted. */
const MAX_NAMED = 20;

export interface VerifierParts {
  readonly store: SealStore;
  readonly events: StoredEvents;
  readonly lists: ArchiveLists;
  readonly keys: SealKeys;
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** One step of a walk through the log. */
export class VerificationStep {
  readonly findings: Finding[] = [];
  readonly walk: Mutable<Walk>;
  readonly #parts: VerifierParts;
  readonly #checkpoints: readonly Checkpoint[];
  readonly #start: number;
  #pages = 0;

  constructor(parts: VerifierParts, checkpoints: readonly Checkpoint[], walk: Mutable<Walk>) {
    this.#parts = parts;
    this.#checkpoints = checkpoints;
    this.walk = walk;
    this.#start = walk.position;
  }

  async begin(): Promise<void> {
    const { store, keys } = this.#parts;
    const { epoch, position: total } = await store.standing();
    Object.assign(this.walk, { epoch, total });
    for (const position of await store.beyond()) {
      const message = `An event stands at ${position}, which is not between the first and the last of the log: nobody recorded it there.`;
      this.#find('EXTRA', Number(position), message);
    }
    for (const position of await store.outside())
      this.#find(
        'SEAL',
        Number(position),
        `A seal stands at ${position}, where no event can be: nobody made it there.`,
      );
    for (const it of this.#checkpoints) {
      if (keys.find(it.keyId) === undefined || isSigned(it, keys)) continue;
      const message = `The checkpoint of event ${it.position} was not signed by this store: it was made up, or changed.`;
      this.#find('CHECKPOINT', it.position, message);
    }
  }

  async run(): Promise<void> {
    const { store } = this.#parts;
    const seals = await store.page(this.walk.sealRead, SEALS_PER_STEP);
    for (const seal of seals) if (!this.walk.isDone && !(await this.#takeSeal(seal))) return;
    if (seals.length === 0) await this.#takeTail();
  }

  /** Holds what archived events are found by against the events that this step came by. */
  async compareLists(): Promise<void> {
    const { lists } = this.#parts;
    const { position, isDone } = this.walk;
    const tell = (wrong: readonly WrongList[]) => {
      for (const it of wrong) this.#find('ARCHIVE', it.position, it.message);
    };
    tell(await lists.wrongIn({ after: this.#start, upTo: position }));
    if (isDone) tell(await lists.surplus());
  }

  /** @returns false where the step is long enough before it is done with */
  async #takeSeal(seal: StoredSeal): Promise<boolean> {
    const { keys } = this.#parts;
    const { walk } = this;
    if (!isWhole(seal) || !isSigned(checkpointOf(seal), keys)) {
      this.#refuseSeal(seal);
      walk.sealRead = seal.position;
      return true;
    }
    if (seal.firstPosition > walk.position + 1) {
      if (walk.unproven === null)
        this.#find('SEAL', walk.position + 1, `${sealNamed(walk.position + 1, seal.firstPosition - 1)} is missing.`);
      walk.unproven ??= walk.position + 1;
      await this.#passUnproven(seal.firstPosition - 1);
      if (walk.isDone || walk.position < seal.firstPosition - 1) return false;
    }
    await this.#compare(seal);
    walk.sealRead = seal.position;
    return true;
  }

  #refuseSeal(seal: StoredSeal): void {
    const { walk } = this;
    const first = isWhole(seal) ? seal.firstPosition : walk.position + 1;
    const isKnown = isWhole(seal) && this.#parts.keys.find(seal.keyId) !== undefined;
    const why = isWhole(seal)
      ? isKnown
        ? 'is not signed by this store: it, or what is under it, was changed'
        : `is signed with a key (${JSON.stringify(seal.keyId)}) that is not made from a master key known here: either MASTER_KEY is not that of this store (or MASTER_KEY_PREVIOUS is missing), or somebody else signed it`
      : 'is none any more: it was changed';
    this.#find('SEAL', first, `${sealNamed(first, seal.position)} ${why}.`);
    walk.unproven ??= walk.position + 1;
  }

  /** Events without a seal of their own: if the next seal holds, so do they. */
  async #passUnproven(last: number): Promise<void> {
    const { walk } = this;
    while (walk.position < last) {
      if (this.#pages >= PAGES_PER_STEP) return;
      const events = await this.#read(walk.position, Math.min(STRETCH, last - walk.position));
      if (events === undefined) return;
      if (!this.#chain(events.filter(({ position }) => position <= last))) {
        this.#miss(walk.position + 1, Math.min(last, (events[0]?.position ?? last + 1) - 1));
      }
    }
  }

  /** Goes on with the hashes of events in a row. @returns false where the first is not the next */
  #chain(events: readonly StoredEvent[]): boolean {
    const { walk } = this;
    let hash: Buffer = Buffer.from(walk.hash, 'hex');
    const start = walk.position;
    for (const { position, line } of events) {
      if (position !== walk.position + 1) break;
      hash = chained(hash, line);
      this.#meet(position, hash);
      walk.position = position;
    }
    walk.hash = hash.toString('hex');
    return walk.position > start;
  }

  #miss(first: number, last: number): void {
    const { walk } = this;
    const message =
      first === last ? `Event ${first} is missing in the log.` : `Events ${first} to ${last} are missing in the log.`;
    this.#find('MISSING', first, message);
    walk.position = last;
  }

  async #compare(seal: LogSeal): Promise<void> {
    const { walk } = this;
    const first = walk.position + 1;
    if (seal.position < first) return;
    const hash = Buffer.from(walk.hash, 'hex');
    // One that was made of several meanwhile begins before where this walk is.
    const before = seal.firstPosition < first ? hashAt(seal, first - 1) : hash;
    if (!before.equals(hash) && walk.unproven === null)
      this.#find('SEAL', first - 1, `Two seals do not say the same of event ${first - 1}.`);
    const events = await this.#readTo(walk.position, seal.position);
    if (events === undefined) return;
    const check = new StretchCheck(seal, events, first, before);
    const broken = check.broken();
    const isUncertain = walk.unproven !== null && (broken[0] === first || !before.equals(hash));
    if (isUncertain) {
      const message = `One of the events ${walk.unproven} to ${first} is not as it was sealed: which one, the seal that is gone would say.`;
      this.#find('CHANGED', walk.unproven ?? first, message);
    }
    const named = isUncertain ? broken.filter((it) => it !== first) : broken;
    for (const finding of check.findings(named)) {
      if (this.findings.length >= MAX_NAMED) break;
      this.findings.push(finding);
    }
    walk.findings += named.length;
    for (const position of this.#within(first, seal.position)) this.#meet(position, hashAt(seal, position));
    walk.position = seal.position;
    walk.hash = hashAt(seal, seal.position).toString('hex');
    walk.sealed = seal.position;
    walk.checkpoint = checkpointToken(checkpointOf(seal));
    walk.unproven = null;
    walk.unsealedSince = null;
  }

  #within(first: number, last: number): number[] {
    return this.#checkpoints.map(({ position }) => position).filter((it) => it >= first && it <= last);
  }

  /** Comes by the event of a checkpoint. */
  #meet(position: number, hash: Buffer): void {
    for (const it of this.#checkpoints) {
      if (it.position !== position || it.hash.equals(hash)) continue;
      const message = `Event ${position} is not the one of the checkpoint that was sealed at ${it.sealedAt.toISOString()}: the log was changed before it, and sealed anew, or is another one.`;
      this.#find('CHECKPOINT', position, message);
    }
  }

  /** What comes after the last seal. */
  async #takeTail(): Promise<void> {
    const { walk } = this;
    walk.end ??= (await this.#parts.store.standing()).position;
    walk.total = Math.max(walk.total, walk.end);
    while (walk.position < walk.end && this.#pages < PAGES_PER_STEP) {
      const events = await this.#read(walk.position, STRETCH);
      if (events === undefined) return;
      const next = events[0]?.position;
      if (next === undefined || next > walk.end) {
        const message = `The log ends after event ${walk.position}, and had ${walk.end}: what came after was cut off.`;
        this.#find('CUT', walk.position, message);
        break;
      }
      if (walk.unsealedSince === null) walk.unsealedSince = recordedAt(events[0]?.line ?? '')?.toISOString() ?? null;
      if (next !== walk.position + 1) this.#miss(walk.position + 1, next - 1);
      this.#chain(events);
    }
    if (walk.position < walk.end && this.#pages >= PAGES_PER_STEP) return;
    this.#end();
  }

  #end(): void {
    const { walk } = this;
    for (const { position, sealedAt } of this.#checkpoints) {
      if (position <= walk.position) continue;
      const message = `The log ends at event ${walk.position}, and had event ${position} when it was sealed at ${sealedAt.toISOString()}: what came after was cut off, seals and all.`;
      this.#find('CUT', walk.position, message);
    }
    if (walk.sealRead === 0 && walk.position > 0) {
      const message = `Nothing of this log is sealed. If it never was, start the server, which does it; otherwise somebody took the seals away.`;
      this.#find('UNSEALED', 1, message);
    }
    walk.isDone = true;
  }

  async #readTo(after: number, last: number): Promise<StoredEvent[] | undefined> {
    const all: StoredEvent[] = [];
    for (let from = after; from < last; ) {
      const events = await this.#read(from, last - from);
      if (events === undefined) return undefined;
      const end = events.at(-1)?.position ?? last;
      all.push(...events.filter(({ position }) => position <= last));
      from = Math.max(end, from + 1);
    }
    return all;
  }

  /** @returns undefined where the next event cannot even be read: nothing beyond it can be told */
  async #read(after: number, limit: number): Promise<StoredEvent[] | undefined> {
    this.#pages += 1;
    for (let count = limit; ; count = Math.ceil(count / 2)) {
      try {
        return await this.#parts.events.readAfter(after, count);
      } catch (error) {
        if (isDatabaseAway(error)) throw error;
        if (count > 1) continue;
        const message = `The event after event ${after} cannot be read (${failureText(error).error}): it was changed. What comes after it was not looked at.`;
        this.#find('CHANGED', after + 1, message);
        this.walk.isDone = true;
        return undefined;
      }
    }
  }

  #find(kind: Finding['kind'], position: number, message: string): void {
    this.walk.findings += 1;
    if (this.findings.length < MAX_NAMED) this.findings.push({ kind, position, message });
  }
}
