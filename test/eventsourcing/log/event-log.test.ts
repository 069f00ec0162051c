import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { CommandStore } from '../../../src/eventsourcing/commands/command-store.ts';
import type { AppendedUnit, AppendUnit } from '../../../src/eventsourcing/log/append-unit.ts';
import { NotStorable, StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import type { RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import { EventLog } from '../../../src/eventsourcing/log/event-log.ts';
import { type Database, openDatabase } from '../../../src/platform/database.ts';
import { unitOf } from '../../support/append-units.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { added, tallyStream } from '../../support/tally.ts';
import { readWholeLog, tallyLog } from '../../support/tally-engine.ts';

const NOW = new Date('2026-01-01T12:00:00.000Z');

function eventsOf(unit: AppendedUnit | undefined): readonly RecordedEvent[] {
  if (unit?.outcome !== 'appended') throw new Error(`It was not appended: ${unit?.outcome}`);
  return unit.events;
}

describeEachStore('The event log', (kind) => {
  let store: TestStore;
  let database: Database;
  let log: EventLog;
  let commands: CommandStore;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    log = tallyLog(database);
    commands = new CommandStore(database.log);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  const append = (...units: AppendUnit[]) => log.append(units, new Date());
  const streamVersion = async (id: string) => {
    const rows = await database.log.query('SELECT version FROM streams WHERE id = $1', tallyStream(id));
    return z.array(z.object({ version: z.number() })).parse(rows)[0]?.version ?? 0;
  };

  it('gives positions without gaps, in the order in which the events were handed in', async () => {
    const { position: before } = await log.head();
    const units = Array.from({ length: 20 }, () => unitOf({ ids: [randomUUID()], count: 3 }));
    const events = (await append(...units)).flatMap(eventsOf);
    expect(events.map(({ position }) => position)).toEqual(Array.from({ length: 60 }, (_, at) => before + at + 1));
    expect(events.map(({ eventId }) => eventId)).toEqual(
      units.flatMap((it) => it.events.map(({ eventId }) => eventId)),
    );
    expect((await log.head()).position).toBe(before + 60);
  });

  it('hands back exactly what a reader finds', async () => {
    const id = randomUUID();
    const [unit] = await append(unitOf({ ids: [id], count: 2, note: 'ünï — 🛒 "quoted" \\ back' }));
    expect(await log.readStreams([tallyStream(id)])).toEqual(eventsOf(unit));
  });

  it('hands back the data as it was stored, without members that the schema does not know', async () => {
    const id = randomUUID();
    const { streams, commands: records, events } = unitOf({ ids: [id] });
    const chatty = events.map((event) => ({
      ...event,
      data: { amount: 1, note: '', total: 1, extra: 'not declared' },
    }));
    const [unit] = await append({ streams, commands: records, events: chatty });
    expect(eventsOf(unit).map(({ data }) => data)).toEqual(
      (await log.readStreams([tallyStream(id)])).map(({ data }) => data),
    );
  });

  it('stores the command with the position of its last event', async () => {
    const commandId = randomUUID();
    const [unit] = await append(unitOf({ ids: [randomUUID()], count: 2, commandId }));
    const stored = (await commands.find([commandId])).get(commandId);
    expect(stored).toMatchObject({
      commandId,
      status: 'SUCCEEDED',
      version: 2,
      position: eventsOf(unit)[1]?.position,
      rejection: null,
    });
  });

  it('refuses a unit that was decided on another version, and appends those beside it', async () => {
    const [ours, other] = [randomUUID(), randomUUID()];
    await append(unitOf({ ids: [ours] }));
    const { position: before } = await log.head();
    const late = unitOf({ ids: [ours], count: 5 });
    const early = unitOf({ ids: [ours], decidedOn: 7 });
    for (const conflicting of [late, early]) {
      const [refused, appended] = await append(conflicting, unitOf({ ids: [randomUUID()] }));
      expect(refused).toEqual({ outcome: 'conflict' });
      expect(eventsOf(appended)).toHaveLength(1);
      expect(await commands.find(conflicting.commands.map(({ commandId }) => commandId))).toEqual(new Map());
    }
    await append(unitOf({ ids: [other] }), unitOf({ ids: [ours], decidedOn: 1 }));
    expect((await log.readAfter(before, 100)).map(({ position }) => position)).toEqual(
      [1, 2, 3, 4].map((n) => before + n),
    );
    expect(await streamVersion(ours)).toBe(2);
  });

  it('appends a unit of several streams whole or not at all', async () => {
    const [fresh, taken] = [randomUUID(), randomUUID()];
    await append(unitOf({ ids: [taken] }));
    const both = unitOf({ ids: [fresh, taken], count: 2 });
    expect((await append(both))[0]).toEqual({ outcome: 'conflict' });
    expect(await log.readStreams([tallyStream(fresh)])).toEqual([]);
    expect(await streamVersion(fresh)).toBe(0);
    expect(await streamVersion(taken)).toBe(1);
  });

  it('refuses a unit with a commandId that is stored, also where its stream moved on', async () => {
    const [id, commandId] = [randomUUID(), randomUUID()];
    await append(unitOf({ ids: [id], commandId }));
    const again = unitOf({ ids: [id], commandId });
    const elsewhere = unitOf({ ids: [randomUUID()], commandId });
    const onTop = unitOf({ ids: [id], decidedOn: 1, commandId });
    for (const repeat of [again, elsewhere, onTop]) {
      const [refused, appended] = await append(repeat, unitOf({ ids: [randomUUID()] }));
      expect(refused).toEqual({ outcome: 'repeated', commandIds: new Set([commandId]) });
      expect(eventsOf(appended)).toHaveLength(1);
    }
    expect(await log.readStreams([tallyStream(id)])).toHaveLength(1);
  });

  it('appends a command that changed nothing, which holds back one decided on an older version', async () => {
    const [id, commandId] = [randomUUID(), randomUUID()];
    await append(unitOf({ ids: [id] }));
    const { position: before } = await log.head();
    expect((await append(unitOf({ ids: [id], decidedOn: 1, count: 0, commandId })))[0]).toEqual({
      outcome: 'appended',
      events: [],
    });
    expect((await commands.find([commandId])).get(commandId)).toMatchObject({ version: 1, position: null });
    expect((await append(unitOf({ ids: [id], decidedOn: 0, count: 0 })))[0]).toEqual({ outcome: 'conflict' });
    expect((await log.head()).position).toBe(before);
  });

  it('never lets recordedAt decrease, though the clock jumps back', async () => {
    const id = randomUUID();
    const later = new Date(Date.now() + 3_600_000);
    const [first] = await log.append([unitOf({ ids: [id] })], later);
    const [second] = await log.append([unitOf({ ids: [id], decidedOn: 1 })], NOW);
    expect(eventsOf(first)[0]?.recordedAt).toEqual(later);
    expect(eventsOf(second)[0]?.recordedAt).toEqual(later);
    const instants = (await readWholeLog(log)).map(({ recordedAt }) => recordedAt.getTime());
    expect(instants).toEqual([...instants].sort((a, b) => a - b));
  });

  it('reads after a position, as many as asked for', async () => {
    const { position: before } = await log.head();
    const [unit] = await append(unitOf({ ids: [randomUUID()], count: 7 }));
    const events = eventsOf(unit);
    expect(await log.readAfter(before, 3)).toEqual(events.slice(0, 3));
    expect(await log.readAfter(before + 3, 100)).toEqual(events.slice(3));
    expect(await log.readAfter(before + 7, 100)).toEqual([]);
  });

  it('reads streams after a version of each', async () => {
    const ids = [randomUUID(), randomUUID(), randomUUID()];
    await append(...ids.slice(0, 2).map((id) => unitOf({ ids: [id], count: 4 })));
    const found = await log.readStreams(ids.map(tallyStream), 2);
    expect(found.map(({ aggregateId, version }) => [aggregateId, version])).toEqual(
      [...ids.slice(0, 2)].sort().flatMap((id) => [
        [id, 3],
        [id, 4],
      ]),
    );
    expect(await log.readStreams([])).toEqual([]);
  });

  it('reads what happened to streams between two positions, over several pages', async () => {
    const [one, other, bystander] = [randomUUID(), randomUUID(), randomUUID()];
    for (let round = 0; round < 9; round += 1) {
      await append(...[one, bystander, other].map((id) => unitOf({ ids: [id], decidedOn: round * 2, count: 2 })));
    }
    const streamIds = [one, other].map(tallyStream);
    const all = (await readWholeLog(log)).filter(({ streamId }) => streamIds.includes(streamId));
    for (const [from, to] of [
      [0, 35],
      [3, 20],
      [10, 10],
      [17, 35],
    ] as const) {
      const after = all[from]?.position ?? 0;
      const upTo = all[to]?.position ?? 0;
      const expected = all.filter(({ position }) => position > after && position <= upTo);
      for (const page of [1, 2, 5, 18, 500]) {
        expect(await log.readStreamsBetween(streamIds, after, upTo, page)).toEqual(expected);
      }
    }
  });

  it('refuses data that does not fit its schema before anything is sent', async () => {
    const id = randomUUID();
    const { streams, commands: records, events } = unitOf({ ids: [id] });
    const wrong = {
      streams,
      commands: records,
      events: events.map((event) => ({ ...event, data: { amount: 'one' } })),
    };
    const unsent = new EventLog(
      {
        prisma: database.log.prisma,
        query: () => Promise.reject(new Error('Something was sent.')),
      },
      new StorageCodec(),
      [added],
    );
    await expect(unsent.append([unitOf({ ids: [randomUUID()] }), wrong], NOW)).rejects.toThrow(NotStorable);
    await expect(
      unsent.append([{ ...wrong, events: events.map((it) => ({ ...it, type: 'Unheard' })) }], NOW),
    ).rejects.toThrow('The event type Unheard is not registered.');
  });

  it.each([
    ['U+0000', 'nul \u0000'],
    ['an unpaired surrogate', 'half \ud800'],
  ])('writes nothing at all where the database refuses data with %s', async (_, note) => {
    const [good, bad] = [randomUUID(), randomUUID()];
    const { position: before } = await log.head();
    await expect(append(unitOf({ ids: [good] }), unitOf({ ids: [bad], note }))).rejects.toThrow();
    expect((await log.head()).position).toBe(before);
    expect(await log.readStreams([good, bad].map(tallyStream))).toEqual([]);
    expect([await streamVersion(good), await streamVersion(bad)]).toEqual([0, 0]);
    // The log goes on as if nothing had been.
    expect((await append(unitOf({ ids: [good] }))).map(({ outcome }) => outcome)).toEqual(['appended']);
  });

  it('keeps its order with many writers over several connections, and a follower misses nothing', async () => {
    const { position: before } = await log.head();
    const writers = kind.engine === 'pglite' ? [log] : [log, tallyLog(await another(store))];
    let isWriting = true;
    const seen: RecordedEvent[] = [];
    const follow = async () => {
      for (;;) {
        const wasWriting = isWriting;
        const events = await log.readAfter(seen.at(-1)?.position ?? before, 50);
        seen.push(...events);
        if (events.length === 0 && !wasWriting) return;
      }
    };
    const following = follow();
    await Promise.all(
      Array.from({ length: 200 }, (_, at) =>
        writers[at % writers.length]?.append([unitOf({ ids: [randomUUID()], count: 1 + (at % 3) })], new Date()),
      ),
    );
    isWriting = false;
    await following;
    const { position: head } = await log.head();
    expect(seen.map(({ position }) => position)).toEqual(
      Array.from({ length: head - before }, (_, at) => before + at + 1),
    );
    expect(new Set(seen.map(({ eventId }) => eventId)).size).toBe(seen.length);
  });

  it('lets one of two writers of a stream win', async () => {
    const second = kind.engine === 'pglite' ? log : tallyLog(await another(store));
    const id = randomUUID();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, async (_, at) => {
        const [unit] = await (at % 2 === 0 ? log : second).append([unitOf({ ids: [id] })], new Date());
        return unit?.outcome;
      }),
    );
    expect(outcomes.filter((it) => it === 'appended')).toHaveLength(1);
    expect(outcomes.filter((it) => it === 'conflict')).toHaveLength(19);
  });

  it('has an epoch of its own, which stays when the store is opened again', async () => {
    const { epoch } = await log.head();
    expect(epoch).toMatch(/^[0-9a-f]{12}$/);
    if (kind.engine === 'postgresql') expect((await tallyLog(await another(store)).head()).epoch).toBe(epoch);
  });

  const others: Database[] = [];
  afterAll(async () => {
    await Promise.all(others.map((it) => it.close()));
  });
  async function another({ settings }: TestStore): Promise<Database> {
    const opened = others[0] ?? (await openDatabase(settings));
    if (others.length === 0) others.push(opened);
    return opened;
  }
});
