import type { KeyObject } from 'node:crypto';

/** The keys of one subject: the newest seals, the others only open what they sealed. */
export class SubjectKey {
  /** The newest one's. */
  readonly version: number;
  readonly key: KeyObject;
  readonly #keys: ReadonlyMap<number, KeyObject>;

  /** @param keys by their versions, counted from 1; at least one */
  constructor(keys: ReadonlyMap<number, KeyObject>) {
    const version = Math.max(...keys.keys());
    const key = keys.get(version);
    if (key === undefined) throw new Error('A subject without any key has no SubjectKey.');
    this.version = version;
    this.key = key;
    this.#keys = keys;
  }

  /** The key that opens what was sealed with it; undefined where it cannot be used, or is not known here yet. */
  of(version: number): KeyObject | undefined {
    return this.#keys.get(version);
  }
}

/** The keys that a batch needs, by subject. Null: that subject was forgotten, and nothing of them is kept any more. */
export type SubjectKeys = ReadonlyMap<string, SubjectKey | null>;

/** The store as a subject of its own: what belongs to nobody is protected with keys made from its key. */
export const STORE_SUBJECT = '';

/** Names of keys: subjects, each with the highest version that is needed. */
export class KeyNames {
  readonly #needed = new Map<string, number>();

  get size(): number {
    return this.#needed.size;
  }

  add(subject: string, version: number): void {
    if (version > (this.#needed.get(subject) ?? 0)) this.#needed.set(subject, version);
  }

  [Symbol.iterator](): IterableIterator<[subject: string, version: number]> {
    return this.#needed.entries();
  }
}
