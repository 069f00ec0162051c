import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import { trace } from '../../../src/eventsourcing/history/causes.ts';
import { StoredCauses } from '../../../src/eventsourcing/history/stored-causes.ts';
import { LogSubscription } from '../../../src/eventsourcing/log/log-subscription.ts';
import { TypedEvents } from '../../../src/eventsourcing/log/typed-events.ts';
import type { Database } from '../../../src/platform/database.ts';
import { archiveAll } from '../../support/archives.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { emptyTallyStore, tally, tallyEvents, tallyProjection, tallyStream } from '../../support/tally.ts';
import { request, startTallyEngine, succeeded } from '../../support/tally-engine.ts';

const endingTally = { ...tally, endsWith: ['TallyLocked'] } as const;

describeEachStore('An aggregate that is archived', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;
  const commandIds = Array.from({ length: 6 }, () => randomUUID());
  const [first = '', second = '', , queued = ''] = commandIds;
  const id = 'old';
  const add = request('Add', { tallyId: id, amount: 1 }, { commandId: first });
  const addMore = request('Add', { tallyId: id, amount: 2 }, { commandId: second });

  const archive = async () => {
    // Only what ended before this millisecond.
    const { recordedAt = new Date() } = (await engine.log.readStreams([tallyStream(id)])).at(-1) ?? {};
    await vi.waitUntil(() => Date.now() > recordedAt.getTime() + 1);
    return archiveAll(engine.archiver, new Date());
  };

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    await emptyTallyStore(database);
    engine = await startTallyEngine(database, { tallies: endingTally, projections: [tallyProjection()] });
    succeeded(await engine.executor.execute(add));
    succeeded(await engine.executor.execute(addMore));
    await engine.executor.enqueue(request('Add', { tallyId: id, amount: 3 }, { commandId: queued }), {});
    await engine.commandWatch.finished(queued, 10_000);
    succeeded(await engine.executor.execute(request('Lock', { tallyId: id })));
    expect(await archive()).toMatchObject({ events: 3, commands: 4 });
    // What was in memory is not: all is read from the store.
    await engine.stop();
    engine = await startTallyEngine(database, { tallies: endingTally, projections: [tallyProjection()] });
  });

  afterAll(async () => {
    await engine?.stop();
    await database?.close();
    await store?.remove();
  });

  it('has given its receipts for good: a repeat changes nothing, and another content is refused', async () => {
    const before = await engine.log.head();
    const again = succeeded(await engine.executor.execute(add));
    expect(again.receipt).toMatchObject({ commandId: first, replayed: true, version: 1, status: 'SUCCEEDED' });
    const other = await engine.executor.execute({ ...add, data: { tallyId: id, amount: 7 } });
    expect(other).toMatchObject({ outcome: 'rejected', rejection: { code: 'COMMAND_ID_REUSED' } });
    const later = await engine.executor.enqueue(addMore, {});
    expect(later).toMatchObject({ outcome: 'succeeded', receipt: { commandId: second, replayed: true } });
    expect(await engine.log.head()).toEqual(before);
    const rows = await database.log.query('SELECT FROM commands UNION ALL SELECT FROM command_queue');
    expect(rows).toEqual([]);
  });

  it('refuses an archived commandId in the midst of a batch, and does the rest of it', async () => {
    const others = Array.from({ length: 5 }, () => request('Add', { tallyId: randomUUID(), amount: 1 }));
    const outcomes = await Promise.all([...others, add, ...others].map((it) => engine.executor.execute(it)));
    expect(outcomes.every(({ outcome }) => outcome === 'succeeded')).toBe(true);
    expect(succeeded(outcomes[5] ?? expect.fail()).receipt.replayed).toBe(true);
  });

  it('is shown with its commands, and traced from end to end', async () => {
    expect((await engine.commandRecords.find([queued])).get(queued)).toMatchObject({
      ...{ name: 'Add', status: 'SUCCEEDED', aggregateType: 'tally', aggregateId: id, attempts: 1, version: 3 },
      input: { tallyId: id, amount: 3 },
    });
    const causes = new StoredCauses(engine.history, engine.commandRecords);
    const traced = await trace(causes, { commandId: second }, 100);
    expect(traced?.root.command?.commandId).toBe(second);
    expect(traced?.root.children.map(({ event }) => event?.type)).toEqual(['TallyAdded']);
  });

  it('can be followed from the beginning of the log, and its rows folded anew', async () => {
    const subscription = new LogSubscription({ tail: engine.tail, history: engine.history, filter: {}, after: 0 });
    const seen: number[] = [];
    for await (const { events } of subscription) {
      seen.push(...events.map(({ position }) => position));
      if (seen.length >= engine.tail.head) break;
    }
    expect(seen).toEqual(Array.from({ length: engine.tail.head }, (_, at) => at + 1));
    const typed = new TypedEvents(
      database.log,
      engine.log,
      tallyEvents.map(({ type }) => type),
    );
    expect((await typed.read(0, engine.tail.head)).map(({ position }) => position)).toEqual(seen);
    const view = engine.view(tallyProjection());
    expect(await view.read(id)).toMatchObject({ amounts: [1, 2, 3], isLocked: true, version: 4 });
  });

  it('goes on where somebody goes on with it, and is archived again', async () => {
    succeeded(await engine.executor.execute(request('Unlock', { tallyId: id })));
    const added = succeeded(await engine.executor.execute(request('Add', { tallyId: id, amount: 4 })));
    expect(added.receipt.version).toBe(6);
    const conflict = await engine.executor.execute(request('Add', { tallyId: id, amount: 4 }, { expectedVersion: 1 }));
    expect(conflict).toMatchObject({ outcome: 'rejected', rejection: { code: 'VERSION_CONFLICT' } });
    const since = conflict.outcome === 'rejected' ? conflict.eventsSince : undefined;
    expect(since?.map(({ version }) => version)).toEqual([2, 3, 4, 5, 6]);
    succeeded(await engine.executor.execute(request('Lock', { tallyId: id })));
    expect(await archive()).toMatchObject({ events: 3 });
    const events = await engine.log.readStreams([tallyStream(id)]);
    expect(events.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5, 6, 7]);
    expect(
      await engine.timeTravel.compare({ aggregateType: 'tally', aggregateId: id }, { version: 2 }, undefined, 9),
    ).toEqual([
      { path: '/isLocked', from: false, to: true },
      { path: '/total', from: 3, to: 10 },
    ]);
  });
});
