import { randomUUID } from 'node:crypto';
import type { DatabaseSettings } from '../../src/platform/database.ts';
import { closedLoop, Latencies, type Measurement, measurement, sharedNow } from '../harness/measuring.ts';
import { answer } from '../harness/remote.ts';
import { WorkEngine } from '../work-engine.ts';

// A process that runs commands on one engine: at once, from the queue, because a timer is due, or because a process sent
// them. Whatever is measured, everything must have been done exactly once.

export interface Turn {
  inFlight: number;
  durationMs: number;
}

export type WorkMethods = typeof methods;

/** To which commands go in turn. */
const AGGREGATES = Array.from({ length: 500 }, () => randomUUID());
/** A backlog is about as large as what can be done in a turn, as far as that is known. */
const FIRST_BACKLOG = 2_000;
const SMALLEST_BACKLOG = 500;
const LARGEST_BACKLOG = 40_000;

let open: WorkEngine | undefined;
let turns = 0;
/** What was done per second, the last time. */
const paces = new Map<string, number>();

const methods = {
  async open(settings: DatabaseSettings) {
    open = await WorkEngine.open(settings);
  },
  /** Commands that are run as they come. */
  immediate({ inFlight, durationMs }: Turn): Promise<Measurement> {
    return counted('ItemAdded', 1, (work) => closedLoop(() => work.addItem(nextAggregate()), { inFlight, durationMs }));
  },
  /** Commands that are due all at once. Latencies are from that instant. */
  queued({ inFlight, durationMs }: Turn): Promise<Measurement> {
    return backlog('queued', durationMs, 'ItemAdded', async (work, count, dueAt) => {
      await times(count, inFlight, () => work.enqueueItem(nextAggregate(), dueAt));
    });
  },
  /** Commands that are queued and run at the same time. Latencies are those of queueing one. */
  queuedWhole({ inFlight, durationMs }: Turn): Promise<Measurement> {
    return counted('ItemAdded', 1, async (work) => {
      const begun = sharedNow();
      const from = work.head;
      const enqueued = await closedLoop(() => work.enqueueItem(nextAggregate()), { inFlight, durationMs });
      await work.reaches(from + enqueued.count - enqueued.errors);
      return { ...enqueued, perSecond: enqueued.count / ((sharedNow() - begun) / 1000) };
    });
  },
  /** Timers of as many instances of a process, which are due all at once. Latencies are from that instant. */
  timers({ inFlight, durationMs }: Turn): Promise<Measurement> {
    return backlog('timers', durationMs, 'WorkWasDue', async (work, count, dueAt) => {
      const from = work.head;
      await times(count, inFlight, () => work.requestWork(dueAt));
      // Requested, and taken note of by the process.
      await work.reaches(from + 2 * count);
    });
  },
  /** One command after the other whose event makes a process send another, from sending the first to the second's event. */
  processAnswers({ durationMs }: Turn): Promise<Measurement> {
    return counted('ItemAdded', 3, (work) => {
      const request = async () => {
        // Requested, answered by the process, and done.
        const answered = work.reaches(work.head + 3);
        await Promise.all([work.requestWork(), answered]);
      };
      return oneByOne(request, () => work.settle(), durationMs);
    });
  },
};

/**
 * Checks that what was counted is what happened, and nothing else.
 * @param type of the events that count
 * @param eventsEach how many events there are for each that counts
 */
async function counted(
  type: string,
  eventsEach: number,
  measure: (work: WorkEngine) => Promise<Measurement>,
): Promise<Measurement> {
  const work = open ?? fail();
  await work.settle();
  const from = work.head;
  const measured = await measure(work);
  await work.settle();
  return { ...measured, ...(await errorsOf(work, measured, type, eventsEach, from)) };
}

async function errorsOf(
  work: WorkEngine,
  { count, errors, samples }: Measurement,
  type: string,
  eventsEach: number,
  from: number,
): Promise<Pick<Measurement, 'errors' | 'samples'>> {
  const expected = count - errors;
  const { appended, events, succeeded, queued } = await work.tally(type, from);
  const wrong =
    Math.abs(events - expected) + Math.abs(succeeded - expected) + Math.abs(appended - eventsEach * expected) + queued;
  if (wrong === 0) return { errors, samples };
  const sample = `of ${expected} commands ${succeeded} succeeded, with ${events} of ${appended} events; ${queued} are queued`;
  return { errors: errors + wrong, samples: [sample, ...samples] };
}

/** Fills the queue, makes all of it due at one instant, and measures from then until it is empty. */
async function backlog(
  name: string,
  durationMs: number,
  type: string,
  fill: (work: WorkEngine, count: number, dueAt: Date) => Promise<void>,
): Promise<Measurement> {
  const work = open ?? fail();
  const pace = paces.get(name);
  const wanted = pace === undefined ? FIRST_BACKLOG : Math.round((pace * durationMs) / 1000);
  const count = Math.min(Math.max(wanted, SMALLEST_BACKLOG), LARGEST_BACKLOG);
  const dueAt = work.later();
  await fill(work, count, dueAt);
  const measured = await counted(type, 1, (ready) => run(ready, count, dueAt));
  paces.set(name, measured.perSecond);
  return measured;
}

async function run(work: WorkEngine, count: number, dueAt: Date): Promise<Measurement> {
  const latencies = new Latencies();
  const begun = sharedNow();
  const done = work.reaches(work.head + count, (events) => {
    const elapsed = sharedNow() - begun;
    for (let event = 0; event < events; event += 1) latencies.record(elapsed);
  });
  work.putForward(dueAt);
  await done;
  return measurement(latencies, sharedNow() - begun, 0, []);
}

async function oneByOne(
  operation: () => Promise<void>,
  between: () => Promise<void>,
  durationMs: number,
): Promise<Measurement> {
  const latencies = new Latencies();
  const start = sharedNow();
  while (sharedNow() - start < durationMs) {
    const begun = sharedNow();
    await operation();
    latencies.record(sharedNow() - begun);
    await between();
  }
  return measurement(latencies, sharedNow() - start, 0, []);
}

/** So many operations, several at a time. */
async function times(count: number, inFlight: number, operation: () => Promise<void>): Promise<void> {
  let left = count;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await operation();
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
}

function nextAggregate(): string {
  turns += 1;
  return AGGREGATES[turns % AGGREGATES.length] ?? fail();
}

function fail(): never {
  throw new Error('nothing is open');
}

answer(methods);
