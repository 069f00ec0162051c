import { afterEach, expect, it } from 'vitest';
import { packSegment, segmentOf } from '../../../src/eventsourcing/archive/segment.ts';
import { EventHistory } from '../../../src/eventsourcing/log/event-history.ts';
import { parseStoredLine } from '../../../src/eventsourcing/log/event-row.ts';
import { StoredEvents } from '../../../src/eventsourcing/log/stored-events.ts';
import { TypedEvents } from '../../../src/eventsourcing/log/typed-events.ts';
import type { Database } from '../../../src/platform/database.ts';
import { fillLog, untilSealed, verifyLog } from '../../support/sealed-log.ts';
import { describeEachStore, openMigrated } from '../../support/stores.ts';
import { startTallyEngine, tallyLog } from '../../support/tally-engine.ts';

/** Somebody with the database puts events into an archive that has none. */
describeEachStore('A sealed log beside a forged archive', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function sealed(events: number): Promise<Database> {
    const store = await kind.create();
    closing.push(store.remove);
    const database = await openMigrated(store);
    closing.push(database.close);
    const engine = await startTallyEngine(database);
    await fillLog(engine, events);
    await untilSealed(engine);
    await engine.stop();
    return database;
  }
  /** As if an event of this line was archived, with all that it is found by. */
  async function forge({ log }: Database, line: string): Promise<void> {
    const { position, eventId, streamId, type, recordedAt } = parseStoredLine(line);
    const packed = (await packSegment([line])).toString('base64');
    await log.query(
      `INSERT INTO archive_segments VALUES ($1::bigint, $2::timestamptz, 1, ARRAY[$3::text], decode($4, 'base64'))`,
      ...[segmentOf(position), recordedAt, type, packed],
    );
    await log.query('INSERT INTO archived_events VALUES ($1::uuid, $2::bigint, NULL)', eventId, position);
    const place = `INSERT INTO archived_streams VALUES ($1, 'tally', ARRAY[$2::bigint], now())`;
    await log.query(place, streamId, position);
  }
  const found = async (database: Database) => (await verifyLog(database)).findings;

  it('names an event that is in the archive and in the log; every reader takes that of the log', async () => {
    const database = await sealed(60);
    const [first] = await new StoredEvents(database.log).readAfter(0, 1);
    const line = first?.line ?? '';
    const forged = line.replace(/"amount": ?\d+/, '"amount": 666');
    expect(forged).not.toBe(line);
    await forge(database, forged);
    expect(await found(database)).toContainEqual({
      kind: 'ARCHIVE',
      position: 1,
      message: 'Event 1 is in the archive, and beside it in the log: somebody put it there.',
    });
    const log = tallyLog(database);
    const real = parseStoredLine(line).data;
    expect((await new TypedEvents(database.log, log, ['TallyAdded']).read(0, 1))[0]?.data).toEqual(real);
    const history = new EventHistory({ client: database.derived, log, aggregateTypes: new Set(['tally']) });
    const page = { after: undefined, before: undefined, limit: 1, inverted: false };
    expect((await history.page({ types: ['TallyAdded'] }, page)).events[0]?.data).toEqual(real);
  });

  it('names an event behind the end of the log', async () => {
    const database = await sealed(60);
    const [last] = await new StoredEvents(database.log).readAfter(59, 1);
    await forge(database, (last?.line ?? '').replace(/^\[60/, '[61'));
    expect(await found(database)).toContainEqual(expect.objectContaining({ kind: 'ARCHIVE', position: 61 }));
  });

  it('is walked to its end, though a seal stands where no number can be read', async () => {
    const database = await sealed(60);
    await database.log.query(
      `INSERT INTO log_seals (position, first_position, epoch, hashes, key_id, signature, sealed_at)
       SELECT 1152921504606846976, 1152921504606846976, epoch, hashes, key_id, signature, sealed_at FROM log_seals LIMIT 1`,
    );
    expect(await found(database)).toMatchObject([
      { kind: 'SEAL', message: expect.stringContaining('A seal stands at 1152921504606846976, where no event can be') },
    ]);
  });
});
