import { createSecretKey, type KeyObject } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import { isColumnText } from '../../platform/column-values.ts';
import type { Logger } from '../../platform/logger.ts';
import {
  findKeys,
  findStoreKey,
  isKeyed,
  type KeyQueries,
  type KeyRow,
  makeKeys,
  masterKeysInUse,
} from './key-store.ts';
import { derivedKey, type KeyWrap } from './key-wrap.ts';
import { MasterKeys } from './master-keys.ts';
import { type KeyNames, STORE_SUBJECT, SubjectKey, type SubjectKeys } from './subject-key.ts';

/** The store's keys are wrapped with another master key than those that were given. */
export class WrongMasterKey extends Error {
  override readonly name = 'WrongMasterKey';
}

/** The key of a subject is there and cannot be used: what is to be written for them would be lost. */
export class UnusableKey extends Error {
  override readonly name = 'UnusableKey';
}

const MAX_CACHED = 20_000;
/** So long, at most, this process goes on using a key that another one destroyed, if it hears nothing of that. */
const CACHED_MS = 60_000;

export interface KeyRingParts {
  readonly client: KeyQueries;
  /** 32 bytes. */
  readonly masterKey: Buffer;
  /** Also known, while the store goes over from one master key to another. */
  readonly otherMasterKeys?: readonly Buffer[];
  readonly logger: Logger;
  /** In milliseconds, from any beginning. */
  now?(): number;
}

/**
 * The keys of subjects: each wrapped with the master key, in a table; in memory as they are, for a short time. A key that
 * is lost is not an error to whoever reads: it makes what it protected unreadable, which is how a subject is forgotten.
 */
export class KeyRing {
  /** Whatever is secret and nobody's is sealed with this. */
  readonly secretsKey: KeyObject;
  /** For hashes of what may be guessed. */
  readonly hashKey: KeyObject;
  readonly #parts: KeyRingParts;
  readonly #masterKeys: MasterKeys;
  readonly #secretsKeys: SubjectKey;
  /** What new keys are wrapped with: what the store uses. */
  #wrap: KeyWrap;
  readonly #cached = new LRUCache<string, { readonly key: SubjectKey | null; readonly until: number }>({
    max: MAX_CACHED,
  });
  /** Counts what was forgotten: what was asked for before is not kept. */
  #generation = 0;
  #hasWarned = false;

  /** Whether a store has keys already: then only the master key that they are wrapped with is of use. */
  static isKeyed(client: KeyQueries): Promise<boolean> {
    return isKeyed(client);
  }

  /**
   * Over a migrated database; the first one makes the store's own key.
   * @throws {WrongMasterKey} rather than to read all that is protected as forgotten
   */
  static async open(parts: KeyRingParts): Promise<KeyRing> {
    const masterKeys = new MasterKeys(parts.masterKey, parts.otherMasterKeys);
    const row = await findStoreKey(parts.client, masterKeys.first);
    const wrap = row && masterKeys.find(row.masterKeyId);
    const store = typeof row?.wrappedKey === 'string' ? wrap?.unwrap(row.wrappedKey, STORE_SUBJECT) : undefined;
    if (wrap === undefined || store === undefined) {
      throw new WrongMasterKey(
        'The personal data in this store is encrypted with keys that another master key protects. Set MASTER_KEY to ' +
          'the one that the store began with, or went over to, or put its file master.key into DATA_DIR. Nothing was ' +
          'read or written.',
      );
    }
    const used = await masterKeysInUse(parts.client);
    if (used.some((id) => masterKeys.find(id) === undefined)) {
      throw new WrongMasterKey(
        'Some keys in this store are still protected by another master key: the change to a new one was not finished. ' +
          'Set MASTER_KEY_PREVIOUS to the one before, and run `cartstream keys rotate-master` to the end.',
      );
    }
    return new KeyRing(parts, masterKeys, wrap, store);
  }

  private constructor(parts: KeyRingParts, masterKeys: MasterKeys, wrap: KeyWrap, store: Buffer) {
    this.#parts = parts;
    this.#masterKeys = masterKeys;
    this.#wrap = wrap;
    this.secretsKey = derivedKey(store, 'secrets');
    this.#secretsKeys = new SubjectKey(new Map([[1, this.secretsKey]]));
    this.hashKey = derivedKey(store, 'hashes');
  }

  /** What tells the master keys that are known here from others. */
  get masterKeyIds(): readonly string[] {
    return this.#masterKeys.ids;
  }

  /** Whether somebody has a key, or had one before they were forgotten: whether anything was ever kept of them. */
  async knows(subject: string): Promise<boolean> {
    return isColumnText(subject) && (await findKeys(this.#parts.client, [subject])).length > 0;
  }

  /**
   * The keys to read with. Subjects whose key is lost or cannot be used are not among them.
   * @throws {WrongMasterKey} @throws what the driver throws where the database is away
   */
  async load(names: KeyNames | Iterable<readonly [subject: string, version: number]>): Promise<SubjectKeys> {
    const { keys, missing } = this.#fromMemory(names);
    if (missing.length === 0) return keys;
    const generation = this.#generation;
    this.#take(await findKeys(this.#parts.client, missing), keys, generation);
    return keys;
  }

  /**
   * The keys to write with; makes those that were never there. A subject that was forgotten stays so.
   * @throws {UnusableKey} @throws {WrongMasterKey} @throws what the driver throws where the database is away
   */
  async ensure(subjects: Iterable<string>): Promise<SubjectKeys> {
    const { keys, missing } = this.#fromMemory(firstVersions(subjects));
    if (missing.length === 0) return keys;
    const generation = this.#generation;
    const rows = await this.#findOrMake(missing);
    const unusable = this.#take(rows, keys, generation);
    if (unusable > 0) throw new UnusableKey(`${unusable} keys of subjects cannot be unwrapped.`);
    return keys;
  }

  /** Uses no key any more that was read before: some may have been destroyed. @param subjects which; or all */
  forget(subjects?: Iterable<string>): void {
    this.#generation += 1;
    if (subjects === undefined) this.#cached.clear();
    else for (const subject of subjects) this.#cached.delete(subject);
  }

  async #findOrMake(subjects: readonly string[]): Promise<KeyRow[]> {
    // The store may have gone over to another master key, even twice.
    for (let attempt = 0; ; attempt += 1) {
      const rows = await makeKeys(this.#parts.client, subjects, this.#wrap);
      const own = rows.find(({ subjectId }) => subjectId === STORE_SUBJECT);
      if (own === undefined || own.masterKeyId === this.#wrap.masterKeyId || attempt > 2) {
        return rows.filter(({ subjectId }) => subjectId !== STORE_SUBJECT);
      }
      this.#wrap = this.#wrapOf(own.masterKeyId);
    }
  }

  /** What no text column can hold has no key; asked for it, the database would refuse the whole query. */
  #fromMemory(names: Iterable<readonly [subject: string, version: number]>) {
    const keys = new Map<string, SubjectKey | null>();
    const missing: string[] = [];
    const now = this.#now();
    for (const [subject, version] of names) {
      if (subject === STORE_SUBJECT) {
        keys.set(subject, this.#secretsKeys);
        continue;
      }
      const cached = this.#cached.get(subject);
      // Another process may have given the subject a new key since.
      const isKnown = cached !== undefined && cached.until > now && (cached.key?.version ?? version) >= version;
      if (isKnown) keys.set(subject, cached.key);
      else if (isColumnText(subject)) missing.push(subject);
    }
    return { keys, missing };
  }

  /** @returns how many subjects have no key that can be used */
  #take(rows: readonly KeyRow[], keys: Map<string, SubjectKey | null>, generation: number): number {
    const until = this.#now() + CACHED_MS;
    let unusable = 0;
    const bySubject = new Map<string, KeyRow[]>();
    for (const row of rows) bySubject.set(row.subjectId, [...(bySubject.get(row.subjectId) ?? []), row]);
    for (const [subject, ofSubject] of bySubject) {
      const key = this.#unwrapped(ofSubject);
      if (key === undefined) {
        unusable += 1;
      } else {
        if (generation === this.#generation) this.#cached.set(subject, { key, until });
        keys.set(subject, key);
      }
    }
    return unusable;
  }

  /** @returns null for a subject that was forgotten, undefined where the newest key cannot be used */
  #unwrapped(rows: readonly KeyRow[]): SubjectKey | null | undefined {
    if (rows.some(({ isDestroyed }) => isDestroyed)) return null;
    const keys = new Map<number, KeyObject>();
    let isBroken = false;
    for (const { subjectId, version, wrappedKey, masterKeyId } of rows) {
      const key = wrappedKey === null ? undefined : this.#wrapOf(masterKeyId).unwrap(wrappedKey, subjectId);
      if (key === undefined) isBroken = true;
      else keys.set(version, createSecretKey(key));
    }
    if (isBroken && !this.#hasWarned) {
      this.#hasWarned = true;
      this.#parts.logger.warn(
        'a key in subject_keys cannot be unwrapped: what it protects reads as forgotten (said once, whatever follows)',
      );
    }
    const newest = Math.max(...rows.map(({ version }) => version));
    return keys.has(newest) ? new SubjectKey(keys) : undefined;
  }

  /** @throws {WrongMasterKey} the store has gone over to one that is not known here */
  #wrapOf(masterKeyId: string): KeyWrap {
    const wrap = this.#masterKeys.find(masterKeyId);
    if (wrap !== undefined) return wrap;
    throw new WrongMasterKey(
      'The store went over to a master key that this server does not know. Restart it with MASTER_KEY set to the new one ' +
        'and MASTER_KEY_PREVIOUS to the one before.',
    );
  }

  #now(): number {
    return this.#parts.now?.() ?? performance.now();
  }
}

function* firstVersions(subjects: Iterable<string>): Generator<readonly [string, number]> {
  for (const subject of subjects) yield [subject, 1];
}
