import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Engine } from '../../../src/eventsourcing/engine.ts';
import type { Database } from '../../../src/platform/database.ts';
import { enqueue, untilDrained } from '../../support/queue.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { emptyTallyStore } from '../../support/tally.ts';
import { request, startTallyEngine } from '../../support/tally-engine.ts';
import { within } from '../../support/within.ts';

describeEachStore('The queue of commands', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;
  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    await emptyTallyStore(database);
    engine = await startTallyEngine(database);
  });
  afterAll(async () => {
    await engine.stop();
    await database.close();
    await store.remove();
  });

  test('takes the next one, however soon it comes after the last one was written', async () => {
    for (let turns = 0; turns < 40; turns += 1) {
      await within(
        5_000,
        'the next command is queued',
        enqueue(engine, request('Add', { tallyId: 'soon', amount: 1 })),
      );
      // Somewhere among these turns, the writer of the last one has nothing left, and ends.
      for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    }
    await untilDrained(database);
    expect(await engine.log.readStreams(['tally-soon'])).toHaveLength(40);
  });
});
