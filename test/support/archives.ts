import { randomUUID } from 'node:crypto';
import { Archiver, type ArchiverParts } from '../../src/eventsourcing/archive/archiver.ts';
import { CommandRecords } from '../../src/eventsourcing/commands/command-records.ts';
import { CommandStore } from '../../src/eventsourcing/commands/command-store.ts';
import { StreamHistory } from '../../src/eventsourcing/history/stream-history.ts';
import { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import type { EventFilter } from '../../src/eventsourcing/log/event-filter.ts';
import { EventHistory } from '../../src/eventsourcing/log/event-history.ts';
import { StoredEvents } from '../../src/eventsourcing/log/stored-events.ts';
import { TypedEvents } from '../../src/eventsourcing/log/typed-events.ts';
import type { Clock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import type { LoggedCommand } from './log-rows.ts';
import { tallyLog } from './tally-engine.ts';

export const FIRST_INSTANT = Date.parse('2020-01-31T12:00:00.000Z');
const IDS = Array.from({ length: 68 }, (_, at) => `t${at}`);
const ACTORS = ['anna', 'bob', null];
const TYPES = ['TallyAdded', 'TallyAdded', 'TallyAdded', 'TallyUnlocked', 'TallyLocked'];
const TALLIES = new Set(['tally']);

/** Small batches, so that a short log takes many of them. */
export const TINY_BATCHES = { events: 23, segments: 3, commands: 17, stretch: 60 } as const;

/** All that tests write by hand was long ago. */
export const LATER: Clock = { now: () => new Date('2040-01-01T00:00:00.000Z'), wakeAt: () => () => {} };

/** Streams end with TallyLocked. */
export function tallyArchiver(database: Database, changes: Partial<ArchiverParts> = {}): Archiver {
  const aggregates = [{ endsWith: ['TallyLocked'] }];
  return new Archiver({ database, aggregates, clock: LATER, pace: TINY_BATCHES, ...changes });
}

/** Archives all that ended before an instant. @returns how many batches that took, and what was moved */
export async function archiveAll(archiver: Archiver, before = LATER.now()) {
  const done = { batches: 0, events: 0, commands: 0 };
  for (;;) {
    const batch = await archiver.next(before);
    done.batches += 1;
    done.events += batch.events;
    done.commands += batch.commands;
    if (batch.isDone) return done;
  }
}

/** Several events of one command, of several streams, commands that follow from others: as mixed as a log is in life. */
export function mixedCommands(count: number, seed = 42): LoggedCommand[] {
  let state = seed;
  const pick = <Item>(items: readonly Item[]): Item => {
    state = (state * 1_103_515_245 + 12_345) % 2 ** 31;
    return items[Math.floor((state / 2 ** 31) * items.length)] as Item;
  };
  let recordedAt = FIRST_INSTANT;
  const requests: string[] = [];
  return Array.from({ length: count }, (_, at) => {
    recordedAt += pick([0, 0, 1, 1_000]);
    const commandId = randomUUID();
    const correlationId = requests.length === 0 || pick([0, 1, 2]) === 0 ? commandId : pick(requests.slice(-9));
    if (correlationId === commandId) requests.push(commandId);
    const id = pick(ACTORS);
    return {
      commandId,
      correlationId,
      actor: { kind: id === null ? 'SYSTEM' : 'CUSTOMER', id },
      recordedAt: new Date(recordedAt),
      events: Array.from({ length: pick([0, 1, 1, 2, 5]) }, () => ({
        aggregateType: 'tally',
        // Streams begin and end, one after the other.
        aggregateId: `t${Math.floor(at / 12) + pick([0, 1, 2, 3, 5, 8])}`,
        type: pick(TYPES),
        data: { amount: 1, note: pick(['', 'Grüße "an" \\ alle\n', 'x'.repeat(300)]), total: 1 },
      })),
    };
  });
}

export type Answers = Readonly<Record<string, unknown>>;

/** The names of answers that are not the same: to show all of them would take longer than to find them. */
export function differing(before: Answers, after: Answers): string[] {
  return Object.keys(before).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
}

/** What every reader of the log and of commands answers: the same, wherever all this is kept. */
export async function answersOf(database: Database, commands: readonly LoggedCommand[]): Promise<Answers> {
  const log = tallyLog(database);
  const { position: head } = await log.head();
  const history = new EventHistory({
    client: database.derived,
    log,
    aggregateTypes: TALLIES,
    sliceSize: 70,
    maxSlices: 3,
  });
  const streams = new StreamHistory(database.log, log);
  const records = new CommandRecords(database.derived, new StorageCodec());
  const ids = IDS.map((id) => `tally-${id}`);
  const points = [0, 1, 2, 100, 255, 256, 257, 300, 511, 512, 513, head - 40, head - 1, head, head + 5];
  const instants = commands.filter((_, at) => at % 29 === 0).flatMap(({ recordedAt: at }) => [at, new Date(+at - 1)]);
  const requests = commands.filter((_, at) => at % 31 === 0).map(({ correlationId }) => correlationId);
  const filters: EventFilter[] = [
    {},
    { types: ['TallyUnlocked'] },
    { actorId: 'anna' },
    { aggregateId: 't3' },
    { aggregateId: 't7', types: ['TallyLocked'] },
    { streamId: 'tally-t9', aggregateType: 'tally' },
    { from: new Date(FIRST_INSTANT + 60_000), to: new Date(FIRST_INSTANT + 120_000) },
    ...requests.slice(0, 6).map((correlationId) => ({ correlationId })),
    ...requests.slice(0, 3).map((correlationId) => ({ correlationId, types: ['TallyAdded'] })),
  ];
  const all = await log.readRange(1, head);
  return {
    after: await each(points, (at) => log.readAfter(at, 50)),
    ranges: await each(points, (at) => log.readRange(Math.max(1, at), 40)),
    at: await log.readAt(points.filter((at) => at % 2 === 0)),
    all,
    newest: byStream(await log.readNewest(ids, ['TallyUnlocked'])),
    streams: await log.readStreams(ids),
    streamsAfter: await each([0, 1, 5], (version) =>
      log.readStreamsAfter(new Map(ids.map((id, at) => [id, version + (at % 3)])), 7).then(byStream),
    ),
    firsts: await each([1, 3, 20], (limit) => log.readStreams(ids.slice(0, 4), 2, limit)),
    between: await each([0, 100, 400], (after) => log.readStreamsBetween(ids.slice(0, 9), after, head - 20, 6)),
    typed: await each(points, (at) => new TypedEvents(database.log, log, ['TallyUnlocked']).read(at, at + 300)),
    stored: await each(points, (at) => new StoredEvents(database.log).readAfter(at, 70)),
    instants: await each(instants, (at) => log.positionAt(at)),
    found: await each(
      all.filter((_, at) => at % 37 === 0),
      ({ eventId }) => history.find(eventId),
    ),
    ...Object.fromEntries(
      await each(filters, async (filter) => [`pages of ${JSON.stringify(filter)}`, await pagesOf(history, filter, 30)]),
    ),
    counts: await each(filters, (filter) => each([10, 1_000], (limit) => history.count(filter, limit))),
    versions: await each(points, async (at) => [...(await streams.versionsAt(ids, at))].sort()),
    positions: await each(ids.slice(0, 9), (id) =>
      each([0, 1, 2, 9, 99], (version) => streams.positionOf(id, version)),
    ),
    read: await each(ids.slice(0, 9), (id) => each([0, 1, 4], (after) => streams.read(id, after, after + 6))),
    receipts: [...(await new CommandStore(database.log).find(commands.map(({ commandId }) => commandId)))].sort(),
    records: [...(await records.find(commands.map(({ commandId }) => commandId)))].sort(),
    followed: await each(requests, (correlationId) => records.list({ correlationId }, { limit: 9, inverted: false })),
    sent: await each([false, true], (inverted) =>
      records.list({ sentBy: { kind: 'CUSTOMER', id: 'bob' } }, { limit: 40, inverted }),
    ),
    counted: await records.count({ aggregateId: 'a' }, 10_000),
    ofAggregates: await records.ofAggregates(['a', 'nobody'], 10_000),
  };
}

async function pagesOf(history: EventHistory, filter: EventFilter, limit: number) {
  return each([false, true], async (inverted) => {
    const pages: unknown[] = [];
    for (let after: number | undefined, at = 0; at < 60; at += 1) {
      const key = after === undefined ? undefined : ([after] as const);
      const range = inverted ? { before: key, after: undefined } : { after: key, before: undefined };
      const { events, stoppedAt } = await history.page(filter, { ...range, limit, inverted });
      pages.push(...events);
      const last = events.length < limit ? stoppedAt : events.at(-1)?.position;
      if (last === undefined) break;
      after = last;
    }
    return pages;
  });
}

async function each<Item, Result>(items: readonly Item[], ask: (item: Item) => Promise<Result>): Promise<Result[]> {
  const answers: Result[] = [];
  for (const item of items) answers.push(await ask(item));
  return answers;
}

function byStream<Event extends { readonly streamId: string; readonly version: number }>(events: readonly Event[]) {
  return events.toSorted((a, b) =>
    a.streamId === b.streamId ? a.version - b.version : a.streamId < b.streamId ? -1 : 1,
  );
}
