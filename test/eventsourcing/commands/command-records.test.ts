import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { COMMAND_STATUSES, type CommandStatus } from '../../../src/eventsourcing/commands/command.ts';
import type { CommandFilter } from '../../../src/eventsourcing/commands/command-filter.ts';
import {
  type CommandKey,
  type CommandRecord,
  CommandRecords,
  keyOfCommand,
} from '../../../src/eventsourcing/commands/command-records.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import type { Database } from '../../../src/platform/database.ts';
import {
  type CommandRow,
  commandRow,
  emptyCommandStore,
  enqueue,
  INSTANT,
  insertCommands,
} from '../../support/command-rows.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';

const NODE = randomUUID();
const at = (seconds: number) => new Date(Date.parse(INSTANT) + seconds * 1_000).toISOString();
const idsOf = (records: readonly CommandRecord[]) => records.map(({ commandId }) => commandId);

describeEachStore('Command records', (kind) => {
  let store: TestStore;
  let database: Database;
  let records: CommandRecords;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    records = new CommandRecords(database.derived, new StorageCodec());
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  const find = async ({ command_id }: CommandRow) => (await records.find([command_id])).get(command_id);

  it('tell all that is known of a command', async () => {
    const rejection = { code: 'ILLEGAL_STATE', message: 'It is closed.', state: 'CLOSED' };
    const row = commandRow({
      status: 'REJECTED',
      attempts: 3,
      rejection,
      error: 'once',
      version: 7,
      first_position: 4_294_967_297,
      event_count: 2,
      position: 4_294_967_298,
      correlation_id: randomUUID(),
      causation_id: randomUUID(),
      issuer_type: 'merging-carts',
      issuer_id: 'x',
      due_at: at(1),
      deadline: at(2),
      finished_at: at(3),
    });
    await insertCommands(database.log, row);
    expect(await find(row)).toEqual({
      commandId: row.command_id,
      name: 'AddToTally',
      aggregateType: 'tally',
      aggregateId: 'a',
      status: 'REJECTED',
      attempts: 3,
      actor: { kind: 'GUEST', id: 'visitor' },
      input: { by: 1 },
      rejection,
      error: 'once',
      version: 7,
      position: 4_294_967_298,
      firstPosition: 4_294_967_297,
      eventCount: 2,
      submittedAt: new Date(INSTANT),
      dueAt: new Date(at(1)),
      deadline: new Date(at(2)),
      finishedAt: new Date(at(3)),
      correlationId: row.correlation_id,
      causationId: row.causation_id,
      issuer: { type: 'merging-carts', id: 'x' },
    });
  });

  it('are found by who sent them, a customer not for a guest of the same name, and by what they are for', async () => {
    const [name, other] = [randomUUID(), randomUUID()];
    const by = (kind_: string, id: string, seconds: number, aggregate_id: string = randomUUID()) =>
      commandRow({ actor_kind: kind_, actor_id: id, submitted_at: at(seconds), aggregate_id });
    const rows = [by('CUSTOMER', name, 1), by('CUSTOMER', name, 2), by('GUEST', name, 3), by('CUSTOMER', other, 4)];
    await insertCommands(database.log, ...rows, by('STAFF', name, 5));
    const sent = async (sentBy: CommandFilter['sentBy']) =>
      idsOf(await records.list({ sentBy }, { limit: 10, inverted: false }));
    const ids = rows.map(({ command_id }) => command_id);
    expect(await sent({ kind: 'CUSTOMER', id: name })).toEqual([ids[1], ids[0]]);
    expect(await sent({ kind: 'GUEST', id: name })).toEqual([ids[2]]);
    expect(await sent({ kind: 'GUEST', id: '\u0000' })).toEqual([]);

    const aggregateIds = rows.map(({ aggregate_id }) => aggregate_id);
    const more = [by('STAFF', name, 6, aggregateIds[0]), by('STAFF', name, 7, aggregateIds[0])];
    await insertCommands(database.log, ...more);
    const found = await records.ofAggregates([aggregateIds[0] ?? '', aggregateIds[3] ?? '', 'none', '\u0000'], 2);
    expect(idsOf(found)).toEqual([ids[0], ids[3], more[0]?.command_id]);
    expect(await records.ofAggregates([], 2)).toEqual([]);
  });

  it('are found in any number, and what is no id at all is not there', async () => {
    const rows = [commandRow(), commandRow()];
    await insertCommands(database.log, ...rows);
    const ids = rows.map(({ command_id }) => command_id);
    expect([...(await records.find([...ids, randomUUID(), 'garbage', '\u0000', ''])).keys()].sort()).toEqual(
      [...ids].sort(),
    );
    expect(await records.find(['garbage'])).toEqual(new Map());
  });

  describe('know the status of one that is not finished', () => {
    const waiting = () => commandRow({ status: 'QUEUED', attempts: 0, version: null, finished_at: null });

    it('waiting in the queue', async () => {
      const row = waiting();
      await insertCommands(database.log, row);
      await enqueue(database.log, row);
      expect(await find(row)).toMatchObject({ status: 'QUEUED', attempts: 0, version: null, finishedAt: null });
    });

    it('claimed by a node', async () => {
      const row = waiting();
      await insertCommands(database.log, row);
      await enqueue(database.log, row, { owner: NODE, attempts: 2 });
      expect(await find(row)).toMatchObject({ status: 'RUNNING', attempts: 2 });
    });

    it('begun, until a process concludes it', async () => {
      const row = commandRow({ status: 'RUNNING', attempts: 1, finished_at: null });
      await insertCommands(database.log, row);
      expect(await find(row)).toMatchObject({ status: 'RUNNING', attempts: 1 });
    });

    it('failed, and still in the queue as a dead letter', async () => {
      const row = commandRow({ status: 'FAILED', attempts: 8, error: 'It broke.' });
      await insertCommands(database.log, row);
      await enqueue(database.log, row, { attempts: 8, dead_letter_id: randomUUID() });
      expect(await find(row)).toMatchObject({ status: 'FAILED', attempts: 8, error: 'It broke.' });
    });

    it('tried again after it failed: its attempts are those of before, until there are more', async () => {
      const row = { ...waiting(), attempts: 8 };
      await insertCommands(database.log, row);
      await enqueue(database.log, row, { attempts: 1 });
      expect(await find(row)).toMatchObject({ status: 'QUEUED', attempts: 8 });
    });
  });

  describe('in a list', () => {
    /** Many commands, several at the same instant, with every status, waiting and running ones among them. */
    const NAMES = ['AddToTally', 'ResetTally', 'CloseTally'];
    const CORRELATION = randomUUID();
    let known: CommandRecord[];

    beforeAll(async () => {
      await emptyCommandStore(database.log);
      const rows = Array.from({ length: 60 }, (_, i) =>
        commandRow({
          ...(i === 30 ? { command_id: CORRELATION } : i % 13 === 0 ? { correlation_id: CORRELATION } : {}),
          name: NAMES[i % 3] ?? '',
          aggregate_id: `${i % 4}`,
          status: COMMAND_STATUSES[i % COMMAND_STATUSES.length] ?? '',
          submitted_at: at(Math.floor(i / 5)),
        }),
      );
      await insertCommands(database.log, ...rows);
      for (const [i, row] of rows.entries()) {
        if (row.status === 'QUEUED') await enqueue(database.log, row, { owner: i % 2 === 0 ? NODE : null });
      }
      known = [...(await records.find(rows.map(({ command_id }) => command_id))).values()].sort(
        (a, b) => b.submittedAt.getTime() - a.submittedAt.getTime() || (a.commandId < b.commandId ? 1 : -1),
      );
      expect(new Set(known.map(({ status }) => status)).size).toBe(COMMAND_STATUSES.length);
    });

    /** Which commands it must be, by a plain look at all of them. */
    const matching = ({ status, name, aggregateId, correlationId, from, to }: CommandFilter) =>
      known.filter(
        (it) =>
          (status === undefined || status.includes(it.status)) &&
          (name === undefined || name.includes(it.name)) &&
          (aggregateId === undefined || it.aggregateId === aggregateId) &&
          (correlationId === undefined || it.correlationId === correlationId) &&
          (from === undefined || it.submittedAt >= from) &&
          (to === undefined || it.submittedAt < to),
      );

    async function pages(filter: CommandFilter, forward: boolean, limit = 4): Promise<CommandRecord[]> {
      const all: CommandRecord[] = [];
      let key: CommandKey | undefined;
      for (;;) {
        const page = await records.list(filter, { [forward ? 'after' : 'before']: key, limit, inverted: !forward });
        all.push(...page);
        const last = page.at(-1);
        if (page.length < limit || last === undefined) return all;
        key = keyOfCommand(last);
      }
    }

    const filters: readonly CommandFilter[] = [
      {},
      ...COMMAND_STATUSES.map((status) => ({ status: [status] })),
      { status: ['FAILED', 'QUEUED', 'RUNNING', 'QUEUED'] satisfies CommandStatus[] },
      { status: ['SUCCEEDED', 'RUNNING'] },
      { status: [] },
      { name: ['AddToTally', 'CloseTally'] },
      { name: [] },
      { name: ['\u0000'] },
      { aggregateId: '2' },
      { aggregateId: '2', status: ['QUEUED'], name: NAMES },
      { aggregateId: '\ud800' },
      { correlationId: CORRELATION },
      { correlationId: CORRELATION, status: ['SUCCEEDED', 'REJECTED', 'RUNNING'] },
      { correlationId: 'garbage' },
      { from: new Date(at(3)), to: new Date(at(5)) },
      { from: new Date(at(5)), to: new Date(at(3)) },
      { from: new Date(at(4)), status: ['RUNNING'] },
      { from: new Date(-62_200_000_000_000), to: new Date(8_640_000_000_000_000) },
    ];

    it.each(filters)('are all there, newest first, page by page: %j', async (filter) => {
      const expected = matching(filter);
      expect(idsOf(await pages(filter, true))).toEqual(idsOf(expected));
      expect(idsOf(await pages(filter, false))).toEqual(idsOf([...expected].reverse()));
      expect(await records.count(filter, 100)).toBe(expected.length);
    });

    it('are as they are when they are asked for one by one', async () => {
      expect(await records.list({}, { limit: 100, inverted: false })).toEqual(known);
    });

    it('lie between two others', async () => {
      const [after, before] = [known[10], known[20]].map((it) => it && keyOfCommand(it));
      const between = await records.list({}, { after, before, limit: 100, inverted: false });
      expect(idsOf(between)).toEqual(idsOf(known.slice(11, 20)));
    });

    it('have a page after an instant that no column can hold', async () => {
      const after = [new Date(-62_200_000_000_000), randomUUID()] as const;
      expect(await records.list({}, { after, limit: 5, inverted: false })).toEqual([]);
    });

    it.each([{}, { status: ['RUNNING', 'FAILED'] } satisfies CommandFilter])(
      'are not counted beyond a limit: %j',
      async (filter) => {
        const { length } = matching(filter);
        expect(await records.count(filter, length)).toBe(length);
        expect(await records.count(filter, length - 1)).toBeNull();
      },
    );
  });
});
