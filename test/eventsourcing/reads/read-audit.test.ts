import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import type { Read, ReadAuditParts } from '../../../src/eventsourcing/reads/read-audit.ts';
import { type ReadRecord, ReadRecords } from '../../../src/eventsourcing/reads/read-records.ts';
import type { Database } from '../../../src/platform/database.ts';
import { randomIds } from '../../../src/platform/ids.ts';
import { mendFaults, plantFault } from '../../support/planted-faults.ts';
import { newAudit } from '../../support/read-audits.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';
import { VirtualClock } from '../../support/virtual-clock.ts';

const DAY_MS = 86_400_000;

/** The records of a store that can be out of reach. */
class AwayRecords extends ReadRecords {
  isAway = false;
  /** What was asked of the database, as batches. */
  readonly batches: number[] = [];
  /** Also what went through, if its answer was lost. */
  losesAnswers = false;

  override async insert(reads: readonly ReadRecord[]): Promise<void> {
    this.batches.push(reads.length);
    if (this.isAway) throw away();
    await super.insert(reads);
    if (!this.losesAnswers) return;
    this.losesAnswers = false;
    throw away();
  }
}

function away(): Error {
  return Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' });
}

const cart = (id: string, more: Partial<Read> = {}): Read => ({
  actor: { kind: 'CUSTOMER', id: 'ada' },
  operation: 'Look',
  field: 'Query.cart',
  outcome: 'SHOWN',
  aggregate: { type: 'cart', id },
  correlationId: randomIds.ordered(),
  ...more,
});

describeEachStore('The audit of reads', (kind) => {
  let store: TestStore;
  let database: Database;
  let records: AwayRecords;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  beforeEach(async () => {
    await mendFaults();
    await database.log.query('DELETE FROM read_audit');
    records = new AwayRecords(database.derived);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  const open = (parts: Partial<ReadAuditParts> = {}) => newAudit(database, { records, ...parts });
  const all = () => records.list({}, { limit: 5_000, inverted: false });
  const idsOf = (reads: readonly ReadRecord[]) => reads.map(({ aggregate }) => aggregate?.id).sort();

  test('writes many in one statement, all of them, and by itself', async () => {
    const audit = open();
    const ids = Array.from({ length: 1_201 }, (_, i) => `c${i}`);
    for (const id of ids) audit.record(cart(id));
    await vi.waitFor(async () => expect(await records.count({}, 5_000)).toBe(1_201), 10_000);
    expect(idsOf(await all())).toEqual([...ids].sort());
    expect(records.batches).toEqual([500, 500, 201]);
    audit.record(cart('alone'));
    await vi.waitFor(async () => expect(idsOf(await all())).toContain('alone'), 10_000);
    expect(audit.state).toEqual({ recorded: true, waiting: 0, lost: 0 });
    await audit.stop();
  });

  test('writes what is left when it stops', async () => {
    const audit = open();
    audit.record(cart('last'));
    await audit.stop();
    expect(idsOf(await all())).toEqual(['last']);
  });

  test('keeps what it cannot write while the database is away, so many and no more, and counts the rest', async () => {
    const audit = open();
    records.isAway = true;
    for (let i = 0; i < 20_003; i += 1) audit.record(cart(`c${i}`));
    await vi.waitFor(() => expect(records.batches.length).toBeGreaterThan(1), 10_000);
    expect(audit.state).toEqual({ recorded: true, waiting: 20_000, lost: 3 });
    records.isAway = false;
    await audit.flush();
    expect(audit.state).toEqual({ recorded: true, waiting: 0, lost: 3 });
    expect(await records.count({}, 50_000)).toBe(20_000);
    await audit.stop();
  });

  test('records a read once, also where the answer of the database was lost', async () => {
    const audit = open();
    records.losesAnswers = true;
    for (const id of ['a', 'b']) audit.record(cart(id));
    await audit.stop();
    expect(records.batches).toEqual([2, 2]);
    expect(idsOf(await all())).toEqual(['a', 'b']);
  });

  test('loses one that the database refuses, and none of the others', async () => {
    await plantFault(database, 'read_audit', `NEW.aggregate_id = 'cursed'`);
    const audit = open();
    for (const id of ['a', 'cursed', 'b', 'c']) audit.record(cart(id));
    await audit.stop();
    expect(idsOf(await all())).toEqual(['a', 'b', 'c']);
    expect(audit.state).toEqual({ recorded: true, waiting: 0, lost: 1 });
  });

  test('takes names and ids however odd they are', async () => {
    const audit = open();
    const odd = `a\u0000b\ud800${'x'.repeat(500)}`;
    audit.record(cart(odd, { actor: { kind: 'SERVICE', id: odd }, operation: odd }));
    await audit.stop();
    const [read] = await all();
    for (const text of [read?.aggregate?.id, read?.actor.id, read?.operation]) {
      expect(text).toMatch(/^a\ufffdb\ufffdx{196}…$/);
    }
  });

  test('deletes what is older than it is kept, and nothing else; also where it records nothing any more', async () => {
    const clock = new VirtualClock();
    const before = open({ clock });
    for (let i = 0; i < 2_500; i += 1) before.record(cart(`old${i}`));
    await before.flush();
    clock.advance(10 * DAY_MS);
    before.record(cart('young'));
    await before.stop();
    const audit = open({ clock, keptDays: 30, isOn: false });
    audit.start();
    clock.advance(19 * DAY_MS);
    expect(await records.count({}, 5_000)).toBe(2_501);
    clock.advance(DAY_MS + 3_600_000);
    await vi.waitFor(async () => expect(idsOf(await all())).toEqual(['young']), 20_000);
    await audit.stop();
  });

  test('leaves the deleting to whoever is at it', async () => {
    if (kind.engine === 'pglite') return;
    const audit = open();
    audit.record(cart('old'));
    await audit.stop();
    const other = await openMigrated(store);
    const future = new Date('2100-01-01');
    await other.log.prisma.$transaction(async (transaction) => {
      await transaction.$queryRawUnsafe('SELECT delete_old_reads($1::timestamptz, 0)', future);
      expect(await records.deleteBefore(future, 10)).toBeNull();
    });
    expect(await records.deleteBefore(future, 10)).toBe(1);
    await other.close();
  });
});
