import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { ApiError } from './http.ts';

const FAULT_KINDS = ['error_before', 'error_after', 'hang_after', 'slow'] as const;
type FaultKind = (typeof FAULT_KINDS)[number];

/** Which calls go wrong: a share of them, chosen by a seed, so that a run can be repeated. */
export const faultPlan = z.object({
  rate: z.number().min(0).max(1),
  kinds: z
    .array(z.enum(FAULT_KINDS))
    .min(1)
    .default([...FAULT_KINDS]),
  seed: z.int().default(1),
  slowMs: z.int().min(0).max(60_000).default(200),
});

/** Makes calls go wrong at random: before anything was done, or after all of it. */
export class Faults {
  #plan = faultPlan.parse({ rate: 0 });
  #random = seeded(1);

  set(plan: z.output<typeof faultPlan>): void {
    this.#plan = plan;
    this.#random = seeded(plan.seed);
  }

  /**
   * Runs a call, or lets it fail.
   * @param perform done at once or not at all
   * @throws {ApiError} 500, where it is to fail
   */
  async around<Result>(perform: () => Result): Promise<Result | 'hang'> {
    const fault = this.#next();
    if (fault === 'slow') await delay(this.#plan.slowMs);
    if (fault === 'error_before') throw new ApiError(500, 'fault', 'Something broke, and nothing was done.');
    const result = perform();
    if (fault === 'error_after') throw new ApiError(500, 'fault', 'Something broke.');
    return fault === 'hang_after' ? 'hang' : result;
  }

  #next(): FaultKind | undefined {
    const { rate, kinds } = this.#plan;
    if (rate === 0 || this.#random() >= rate) return undefined;
    return kinds[Math.floor(this.#random() * kinds.length)];
  }
}

/** Numbers from 0 to 1 that only look random: Tommy Ettinger's mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
