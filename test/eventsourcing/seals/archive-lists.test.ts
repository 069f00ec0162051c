import { afterEach, beforeAll, expect, it } from 'vitest';
import type { Database } from '../../../src/platform/database.ts';
import { archiveAll, tallyArchiver } from '../../support/archives.ts';
import { fillLog, untilSealed, verifyLog } from '../../support/sealed-log.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { startTallyEngine } from '../../support/tally-engine.ts';

const TABLES = ['archive_segments', 'archived_events', 'archived_streams'];
const STREAM = 'WHERE stream_id = (SELECT min(stream_id) FROM archived_streams)';
const EVENT = 'WHERE position = (SELECT min(position) FROM archived_events)';
const SEGMENT = 'WHERE number = 0';

/** What an attacker can do to whoever looks for an archived event, without touching the event. */
describeEachStore('A sealed log with an archive', (kind) => {
  let store: TestStore;
  let database: Database;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    const engine = await startTallyEngine(database);
    await fillLog(engine, 600);
    await untilSealed(engine);
    await engine.stop();
    await archiveAll(tallyArchiver(database, { aggregates: [{ endsWith: ['TallyAdded'] }] }));
    for (const table of TABLES) await database.log.query(`CREATE TABLE kept_${table} AS TABLE ${table}`);
    return async () => {
      await database.close();
      await store.remove();
    };
  });
  afterEach(async () => {
    for (const table of TABLES) {
      await database.log.query(`DELETE FROM ${table}`);
      await database.log.query(`INSERT INTO ${table} SELECT * FROM kept_${table}`);
    }
  });

  const found = async () => (await verifyLog(database)).findings;

  it('is whole', async () => expect(await found()).toEqual([]));

  it.each([
    ['a place in a stream', `UPDATE archived_streams SET positions[2] = positions[2] + 1 ${STREAM}`],
    ['a place that is none', `UPDATE archived_streams SET positions[2] = ${'9'.repeat(17)} ${STREAM}`],
    ['the end of a stream', `UPDATE archived_streams SET positions = positions[1:3] ${STREAM}`],
    ['more in a stream', `UPDATE archived_streams SET positions = positions || 1::bigint ${STREAM}`],
    ['the type of a stream', `UPDATE archived_streams SET aggregate_type = 'cart' ${STREAM}`],
    ['a stream that is gone', `DELETE FROM archived_streams ${STREAM}`],
    ['a stream that is none', "INSERT INTO archived_streams VALUES ('tally-none', 'tally', '{1}', now())"],
    ['where an event is', `UPDATE archived_events SET position = position + 1 ${EVENT}`],
    ['an event that is gone', `DELETE FROM archived_events ${EVENT}`],
    ['an event that is none', 'INSERT INTO archived_events VALUES (gen_random_uuid(), 1, NULL)'],
    ['what caused an event', `UPDATE archived_events SET correlation_id = gen_random_uuid() ${EVENT}`],
    ['types', `UPDATE archive_segments SET types = '{}' ${SEGMENT}`],
    ['types that are gone', `UPDATE archive_segments SET types = NULL ${SEGMENT}`],
    ['how many there are', `UPDATE archive_segments SET count = count - 1 ${SEGMENT}`],
    ['when they were recorded', `UPDATE archive_segments SET recorded_from = 'infinity' ${SEGMENT}`],
    [
      'a segment of no place',
      `INSERT INTO archive_segments SELECT -1, recorded_from, 0, types, events FROM archive_segments ${SEGMENT}`,
    ],
  ])('shows it where what events are found by was changed: %s', async (_, change) => {
    expect(await database.log.query(`${change} RETURNING 1`)).not.toEqual([]);
    const kinds = new Set((await found()).map((it) => it.kind));
    expect(kinds).toEqual(new Set(['ARCHIVE']));
  });
});
