import process from 'node:process';
import { build, type Histogram } from 'hdr-histogram-js';

/** One series of operations. Times in milliseconds. */
export interface Measurement {
  perSecond: number;
  count: number;
  p50: number;
  p99: number;
  errors: number;
  /** Some of the errors, told apart. */
  samples: string[];
}

/** A clock that the processes of one machine share, in milliseconds. */
export function sharedNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

export class Latencies {
  readonly #histogram: Histogram = build({
    lowestDiscernibleValue: 1,
    highestTrackableValue: 120_000_000,
    numberOfSignificantValueDigits: 3,
  });

  record(milliseconds: number): void {
    this.#histogram.recordValue(Math.max(1, Math.round(milliseconds * 1000)));
  }

  get count(): number {
    return this.#histogram.totalCount;
  }

  percentile(percent: number): number {
    return this.count === 0 ? Number.NaN : this.#histogram.getValueAtPercentile(percent) / 1000;
  }
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** The median of each figure; the errors of all. */
export function combine(rounds: readonly Measurement[]): Measurement {
  return {
    perSecond: median(rounds.map((round) => round.perSecond)),
    count: rounds.reduce((sum, round) => sum + round.count, 0),
    p50: median(rounds.map((round) => round.p50)),
    p99: median(rounds.map((round) => round.p99)),
    errors: rounds.reduce((sum, round) => sum + round.errors, 0),
    samples: [...new Set(rounds.flatMap((round) => round.samples))].slice(0, 5),
  };
}

/**
 * Measures several things in turn, again and again, so that what the machine does meanwhile hits all of them alike.
 * The first turn of each warms up and does not count.
 */
export async function alternate<K extends string>(
  series: Record<K, (durationMs: number) => Promise<Measurement>>,
  times: { warmUpMs: number; roundMs: number; rounds: number },
): Promise<Record<K, Measurement>> {
  const names = Object.keys(series) as K[];
  const measured = new Map<K, Measurement[]>(names.map((name) => [name, []]));
  for (const name of names) await series[name](times.warmUpMs);
  for (let round = 0; round < times.rounds; round += 1) {
    for (const name of names) measured.get(name)?.push(await series[name](times.roundMs));
  }
  return Object.fromEntries(names.map((name) => [name, combine(measured.get(name) ?? [])])) as Record<K, Measurement>;
}

/** Keeps a number of operations in flight for a time. */
export async function closedLoop(
  operation: () => Promise<void>,
  { inFlight, durationMs }: { inFlight: number; durationMs: number },
): Promise<Measurement> {
  const latencies = new Latencies();
  const samples = new Set<string>();
  let errors = 0;
  const start = sharedNow();
  const end = start + durationMs;
  const lane = async () => {
    for (let begun = sharedNow(); begun < end; ) {
      try {
        await operation();
      } catch (error) {
        errors += 1;
        samples.add(String(error).slice(0, 300));
        if (errors > 100) return;
      }
      const done = sharedNow();
      latencies.record(done - begun);
      begun = done;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return measurement(latencies, sharedNow() - start, errors, samples);
}

export function measurement(
  latencies: Latencies,
  elapsedMs: number,
  errors: number,
  samples: Iterable<string>,
): Measurement {
  return {
    perSecond: latencies.count / (elapsedMs / 1000),
    count: latencies.count,
    p50: latencies.percentile(50),
    p99: latencies.percentile(99),
    errors,
    samples: [...samples].slice(0, 5),
  };
}
