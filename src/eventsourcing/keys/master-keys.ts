import type { Buffer } from 'node:buffer';
import { KeyWrap } from './key-wrap.ts';

/**
 * The master keys that this process knows: one, or two while a store goes over from one to another. Which of them it uses,
 * the store itself says: its own key is wrapped with it.
 */
export class MasterKeys {
  readonly #wraps: ReadonlyMap<string, KeyWrap>;
  readonly #first: KeyWrap;

  /** @param first for a store that has no keys yet @param others 32 bytes each */
  constructor(first: Buffer, others: readonly Buffer[] = []) {
    this.#first = new KeyWrap(first);
    this.#wraps = new Map([this.#first, ...others.map((key) => new KeyWrap(key))].map((it) => [it.masterKeyId, it]));
  }

  /** What a new store begins with, and what one goes over to. */
  get first(): KeyWrap {
    return this.#first;
  }

  get ids(): readonly string[] {
    return [...this.#wraps.keys()];
  }

  /** By what tells it from others; undefined for one that is not known here. */
  find(masterKeyId: string): KeyWrap | undefined {
    return this.#wraps.get(masterKeyId);
  }
}
