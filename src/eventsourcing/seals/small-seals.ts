import { checkpointOf, isSigned, STRETCH, signed } from './log-seal.ts';
import type { SealKey, SealKeys } from './seal-keys.ts';
import { isWhole, type SealSize, type SealStore } from './seal-store.ts';

/** So many small seals become one. */
const MERGED = 32;

/**
 * A shop with one event a second would have a seal for each, which is larger than its hash. So small seals become one, of the
 * same hashes: nothing is proven less, but for the instants in between.
 */
export class SmallSeals {
  readonly #store: SealStore;
  readonly #keys: SealKeys;
  #added = 0;

  constructor(store: SealStore, keys: SealKeys) {
    this.#store = store;
    this.#keys = keys;
  }

  /** A small one was added: it is merged with those before, if it is time for that. */
  async added(key: SealKey): Promise<void> {
    this.#added += 1;
    if (this.#added % MERGED !== 0) return;
    const [first, last, count] = smallest(await this.#store.newestSizes(2 * MERGED));
    if (count < MERGED) return;
    const stored = await this.#store.between(first, last);
    const seals = stored.filter(isWhole);
    const newest = seals.at(-1);
    // What nobody signed is not signed here: it stays as it is, for `verify` to find.
    if (newest === undefined || seals.length !== count || !seals.every((it) => isSigned(checkpointOf(it), this.#keys)))
      return;
    const hashes = Buffer.concat(seals.map((it) => it.hashes));
    await this.#store.merge(signed({ ...newest, firstPosition: seals[0]?.firstPosition ?? first, hashes }, key));
  }
}

/** The newest seals that one seal has room for. @param sizes from the newest on @returns positions of the first and the last, and how many */
function smallest(sizes: readonly SealSize[]): [first: number, last: number, count: number] {
  const [newest] = sizes;
  if (newest === undefined) return [0, 0, 0];
  let count = 0;
  let first = newest;
  for (const size of sizes) {
    const follows = count === 0 || size.position === first.firstPosition - 1;
    if (!follows || size.epoch !== newest.epoch || newest.position - size.firstPosition >= STRETCH) break;
    first = size;
    count += 1;
  }
  return [first.position, newest.position, count];
}
