import { build } from 'hdr-histogram-js';

/** In milliseconds. */
export type Percentiles = Readonly<Record<'p50' | 'p90' | 'p99' | 'max', number>>;

/** How long something took, however often. */
export class Latencies {
  readonly #histogram = build({ numberOfSignificantValueDigits: 3 });

  record(milliseconds: number): void {
    this.#histogram.recordValue(Math.round(milliseconds * 1_000));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  /** All 0 where there is none. */
  get percentiles(): Percentiles {
    const max = this.#histogram.maxValue / 1_000;
    // What is alike within three digits is told as the largest of it: that may be more than the largest there is.
    const at = (percentile: number) => Math.min(this.#histogram.getValueAtPercentile(percentile) / 1_000, max);
    return { p50: at(50), p90: at(90), p99: at(99), max };
  }
}
