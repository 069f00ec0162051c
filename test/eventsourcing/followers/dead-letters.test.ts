import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import {
  type DeadLetter,
  type DeadLetterKey,
  DeadLetters,
  keyOfDeadLetter,
} from '../../../src/eventsourcing/followers/dead-letters.ts';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import type { Database } from '../../../src/platform/database.ts';
import {
  commandRow,
  deadLetterRow,
  emptyCommandStore,
  enqueue,
  INSTANT,
  insertCommands,
  insertDeadLetters,
  parkEvents,
} from '../../support/command-rows.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';

const CARTS = 'projection:cart.carts';
const at = (seconds: number) => new Date(Date.parse(INSTANT) + seconds * 1_000).toISOString();
const idsOf = (letters: readonly Pick<DeadLetter, 'id'>[]) => letters.map(({ id }) => id);

describeEachStore('Dead letters', (kind) => {
  let store: TestStore;
  let database: Database;
  let letters: DeadLetters;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    letters = new DeadLetters(database.derived, new StorageCodec());
  });
  beforeEach(() => emptyCommandStore(database.log));
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  it('tell what failed, but not the stack', async () => {
    const row = deadLetterRow({ source: CARTS, position: 4_294_967_297 });
    await insertDeadLetters(database.log, row);
    expect(await letters.find([row.id, randomUUID(), 'garbage'])).toEqual(
      new Map([
        [
          row.id,
          {
            id: row.id,
            source: CARTS,
            subject: row.subject,
            lane: 'tally-a',
            position: 4_294_967_297,
            payload: { command: 'AddToTally', input: { by: 1 } },
            error: 'It broke.',
            attempts: 8,
            status: 'OPEN',
            reason: null,
            failedAt: new Date(INSTANT),
            resolvedAt: null,
          },
        ],
      ]),
    );
  });

  it('are found also when they are not open any more', async () => {
    const row = deadLetterRow({ status: 'DROPPED', reason: 'Nobody needs it.', resolved_at: at(5) });
    await insertDeadLetters(database.log, row);
    expect((await letters.find([row.id])).get(row.id)).toMatchObject({
      status: 'DROPPED',
      reason: 'Nobody needs it.',
      resolvedAt: new Date(at(5)),
    });
  });

  it('are listed while they are open, the newest failure first, page by page', async () => {
    const rows = Array.from({ length: 25 }, (_, i) =>
      deadLetterRow({
        failed_at: at(Math.floor(i / 3)),
        source: i % 4 === 0 ? CARTS : 'command',
        status: ['OPEN', 'OPEN', 'OPEN', 'RETRIED', 'DROPPED'][i % 5] ?? '',
      }),
    );
    await insertDeadLetters(database.log, ...rows);
    const open = rows
      .filter(({ status }) => status === 'OPEN')
      .sort((a, b) => b.failed_at.localeCompare(a.failed_at) || (a.id < b.id ? 1 : -1));
    for (const source of [undefined, CARTS, 'command', 'projection:none', '\u0000']) {
      const expected = idsOf(open.filter((it) => source === undefined || it.source === source));
      for (const inverted of [false, true]) {
        const found: DeadLetter[] = [];
        let key: DeadLetterKey | undefined;
        for (let more = true; more; ) {
          const page = await letters.list({ source }, { [inverted ? 'before' : 'after']: key, limit: 4, inverted });
          found.push(...page);
          key = page.at(-1) && keyOfDeadLetter(page.at(-1) as DeadLetter);
          more = page.length === 4;
        }
        expect(idsOf(found)).toEqual(inverted ? [...expected].reverse() : expected);
      }
      expect(await letters.count({ source }, 100)).toBe(expected.length);
    }
    expect(await letters.count({}, open.length)).toBe(open.length);
    expect(await letters.count({}, open.length - 1)).toBeNull();
  });

  it('of one source come in the order in which they failed, at most so many', async () => {
    const [second, first, third] = [at(2), at(1), at(3)].map((failed_at) => deadLetterRow({ failed_at }));
    if (first === undefined || second === undefined || third === undefined) throw new Error('There are three.');
    await insertDeadLetters(database.log, second, first, third);
    await insertDeadLetters(
      database.log,
      deadLetterRow({ failed_at: at(0), status: 'RETRIED' }),
      deadLetterRow({ failed_at: at(0), source: CARTS }),
    );
    expect(await letters.openOf('command', 2)).toEqual([
      { id: first.id, failedAt: new Date(at(1)) },
      { id: second.id, failedAt: new Date(at(2)) },
    ]);
    expect(idsOf(await letters.openOf('command', 10))).toEqual(idsOf([first, second, third]));
    expect(await letters.openOf('\u0000', 10)).toEqual([]);
  });

  it('know what waits behind them', async () => {
    const letter = deadLetterRow({ source: 'command' });
    const ofProcess = deadLetterRow({ source: 'process:merging-carts', lane: 'merging-carts-x' });
    const ofEvent = deadLetterRow({ source: CARTS, lane: 'cart-1', position: 10 });
    const ofFeed = deadLetterRow({ source: 'process:merging-carts', lane: 'merging-carts-x', position: 12 });
    const dropped = deadLetterRow({ source: CARTS, lane: 'cart-2', position: 20, status: 'DROPPED' });
    const all = [letter, ofProcess, ofEvent, ofFeed, dropped];
    await insertDeadLetters(database.log, ...all);

    const inLane = async (lane: string, ...queued: { due_at: string; dead_letter_id?: string }[]) => {
      for (const row of queued) {
        const command = commandRow({ status: 'QUEUED' });
        await insertCommands(database.log, command);
        await enqueue(database.log, command, { lane, ...row });
      }
    };
    // One before it, two of the same instant after it, and a later one.
    await inLane(
      'tally-a',
      { due_at: at(1) },
      { due_at: at(2), dead_letter_id: letter.id },
      { due_at: at(2) },
      { due_at: at(2) },
      { due_at: at(0) },
      { due_at: at(9) },
    );
    await inLane('tally-b', { due_at: at(3) });
    await inLane('merging-carts-x', { due_at: at(1), dead_letter_id: ofProcess.id }, { due_at: at(2) });
    await parkEvents(
      database.log,
      ...[10, 11, 14, 15].map((position) => ({ source: CARTS, lane: 'cart-1', position })),
      { source: CARTS, lane: 'cart-2', position: 21 },
      { source: 'projection:catalog.products', lane: 'cart-1', position: 11 },
      ...[12, 13].map((position) => ({ source: 'process:merging-carts', lane: 'merging-carts-x', position })),
    );

    expect(await letters.waitingBehind(all)).toEqual(
      new Map([
        [letter.id, 3],
        [ofProcess.id, 1],
        [ofEvent.id, 3],
        [ofFeed.id, 1],
        [dropped.id, 0],
      ]),
    );
    expect(await letters.waitingBehind([])).toEqual(new Map());
  });
});
