import { checkpointOf, isSigned, signed } from './log-seal.ts';
import type { SealKey, SealKeys } from './seal-keys.ts';
import { isWhole, type SealStore } from './seal-store.ts';

const BATCH = 100;

export interface ResignedSeals {
  readonly changed: number;
  /** How many no key that is known here had signed: they are left as they are, for `verify` to name. */
  readonly broken: number;
}

/** Signs all seals with another key, batch by batch; none that was not signed rightly before. Interrupted, it goes on. */
export async function resignSeals(
  store: SealStore,
  keys: SealKeys,
  to: SealKey,
  onProgress: (done: number) => void,
): Promise<ResignedSeals> {
  let changed = 0;
  let broken = 0;
  for (let after = 0; ; ) {
    const seals = await store.others(to.id, after, BATCH);
    const last = seals.at(-1);
    if (last === undefined) return { changed, broken };
    const right = seals.filter(isWhole).filter((seal) => isSigned(checkpointOf(seal), keys));
    const done = await store.sign(right.map((seal) => ({ before: seal, after: signed(seal, to) })));
    changed += done;
    broken += seals.length - done;
    onProgress(changed + broken);
    after = last.position;
  }
}
