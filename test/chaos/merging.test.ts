import { randomInt } from 'node:crypto';
import process from 'node:process';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { type Database, openDatabase } from '../../src/platform/database.ts';
import { EUR_SKU, HEAVY_SKU, MERGE_KINDS, type Merge, MergeLoad, randomOf } from '../support/merge-load.ts';
import { eventually, Operator } from '../support/operator.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { auditStore } from '../support/store-audit.ts';
import { describeEachStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

const CLIENTS = 12;
const KILLS = 3;
/** Merges that come to their end between two kills, at least. */
const ENDED_BETWEEN = 10;
/** Then the server is killed within so many milliseconds, or as soon as a merge is under way. */
const KILLED_WITHIN_MS = 250;
const SKUS = ['A', 'B', 'C', 'D'];
/** Clients draw from it, and so do the moments of the kills: set it to what a failure names. */
const SEED = Number(process.env['CHAOS_SEED'] ?? randomInt(2 ** 31));

/** What is queued by processes, other than timers that are not due for a day. */
const PROCESS_COMMANDS = [
  ...['HandOverCartLines', 'TakeInCartLines', 'CompleteCartMerge', 'TakeBackCartLines', 'MergeCarts'],
  ...['merging-carts.message', 'merging-carts.timer', 'merging-carts.refusal'],
  ...['abandoned-carts.message', 'abandoned-carts.refusal'],
];

const readiness = z.object({ followers: z.array(z.object({ lag: z.number(), parked: z.number() })) });
const cartRows = z.array(
  z.object({
    id: z.string(),
    status: z.string(),
    mergedInto: z.string().nullable(),
    lines: z.array(z.object({ sku: z.string(), quantity: z.number() })),
  }),
);
const statusRows = z.array(z.object({ id: z.string(), status: z.string() }));
const countRow = z.tuple([z.object({ count: z.number() })]);
const pieces = z.object({ sku: z.string(), quantity: z.number(), previousQuantity: z.number().optional() });
const movedLines = z.object({
  mergeId: z.string(),
  lines: z.array(z.object({ sku: z.string(), quantity: z.number() })),
});

describeEachStore('A server that is killed again and again while carts are merged', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  it('leaves every line in exactly one cart, and gives every merge an outcome', () => explained(mergeAndKill), 300_000);

  async function mergeAndKill(): Promise<void> {
    const store = await kind.create();
    const environment = { LEASE_S: '1', READ_WAIT_MS: '2000' };
    const start = () => startServerProcess(store, ['--no-seed'], environment);
    let server: ServerProcess = await start();
    closing.push(store.remove, () => server.kill());
    const shop = new Operator(server.url);
    for (const sku of [...SKUS, HEAVY_SKU]) await shop.addProduct(sku);
    await shop.addProduct(EUR_SKU, { currency: 'EUR' });

    const random = randomOf(SEED);
    const load = new MergeLoad(() => server.url, SKUS, random);
    load.begin(CLIENTS);
    for (let kill = 0; kill < KILLS; kill += 1) {
      const goal = load.ended + ENDED_BETWEEN;
      const answers = within(
        120_000,
        `merges before kill ${kill + 1}`,
        untilTrue(() => load.ended >= goal),
      );
      answers.catch(() => {});
      await Promise.race([answers, load.failed()]);
      await delay(random() * KILLED_WITHIN_MS);
      await untilTrue(() => load.merges.length > load.ended);
      await server.kill();
      server = await start();
    }
    await within(120_000, 'the last merges', load.finish());
    await untilNothingIsUnderWay(server);
    expect(await server.stop()).toBe(0);

    const database = await openDatabase(store.settings);
    closing.push(database.close);
    const others = load.merges.map(({ commandId }) => commandId);
    const events = await auditStore(database, load.acknowledged, others);
    await expectOutcomes(database, load.merges);
    expectWholeMerges(load.merges, events);
    await expectConservedPieces(database, events);
    expect(await count(database, 'command_queue WHERE due_at <= now()')).toBe(0);
    expect(await count(database, 'dead_letters')).toBe(0);
    expect(await count(database, 'parked_events')).toBe(0);
    // Otherwise it was no test: commands were cut off, and merges of every kind were among them.
    expect(load.resent).toBeGreaterThan(0);
    expect(new Set(load.merges.map((merge) => merge.kind))).toEqual(new Set(MERGE_KINDS));
  }
});

async function untilTrue(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

/** Names the seed with which a failure may come again. */
async function explained(test: () => Promise<void>): Promise<void> {
  try {
    await test();
  } catch (error) {
    throw new Error(`With CHAOS_SEED=${SEED}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

/** Waits until processes have nothing to do any more, and every read table shows what they did. */
async function untilNothingIsUnderWay(server: ServerProcess): Promise<void> {
  const operator = new Operator(server.url);
  await eventually(async () => {
    const filter = { status: ['QUEUED', 'RUNNING'], name: PROCESS_COMMANDS };
    expect((await operator.commands({ filter })).nodes).toEqual([]);
    const { followers } = readiness.parse(await (await fetch(new URL('/health/ready', server.url))).json());
    expect(followers.filter(({ lag, parked }) => lag > 0 || parked > 0)).toEqual([]);
  });
}

/** Each merge is stored as it was told, and ended as it had to. */
async function expectOutcomes({ log }: Database, merges: readonly Merge[]): Promise<void> {
  const rows = statusRows.parse(
    await log.query(`SELECT command_id AS id, status FROM commands WHERE name = 'MergeCarts'`),
  );
  expect(new Map(rows.map(({ id, status }) => [id, status]))).toEqual(
    new Map(merges.map(({ commandId, outcome }) => [commandId, outcome?.receipt.status])),
  );
  const strange = merges.filter(({ endings, outcome }) => !endings.includes(outcome?.__typename ?? ''));
  expect(strange).toEqual([]);
  for (const { outcome } of merges) {
    expect(outcome?.receipt.status).toBe(outcome?.__typename === 'CartPayload' ? 'SUCCEEDED' : 'REJECTED');
  }
}

/** Each merge moved all that the one cart held, once; or nothing. */
function expectWholeMerges(merges: readonly Merge[], events: readonly RecordedEvent[]): void {
  const ofMerge = new Map<string, RecordedEvent[]>();
  for (const event of events.filter(({ aggregateType }) => aggregateType === 'cart')) {
    const { mergeId } = z.object({ mergeId: z.string().optional() }).parse(event.data);
    if (mergeId !== undefined) ofMerge.set(mergeId, [...(ofMerge.get(mergeId) ?? []), event]);
  }
  for (const { commandId, from, into, outcome, kind } of merges) {
    const steps = ofMerge.get(commandId) ?? [];
    const what = `the steps of the merge ${commandId} (${kind})`;
    const seen = steps.map(({ type, aggregateId }) => [type, aggregateId]);
    if (outcome?.__typename === 'CartPayload') {
      expect(seen, what).toEqual([
        ['CartLinesHandedOver', from],
        ['CartLinesTakenIn', into],
        ['CartMerged', from],
      ]);
      const [handedOver, takenIn] = steps.slice(0, 2).map(({ data }) => movedLines.parse(data).lines);
      expect(takenIn, what).toEqual(handedOver);
    } else if (steps.length > 0) {
      expect(seen, what).toEqual([
        ['CartLinesHandedOver', from],
        ['CartLinesTakenBack', from],
      ]);
    }
    ofMerge.delete(commandId);
  }
  expect([...ofMerge.keys()], 'nothing was merged that nobody asked for').toEqual([]);
}

/** What shoppers put into carts, less what they took out, is what all carts hold together. */
async function expectConservedPieces({ derived }: Database, events: readonly RecordedEvent[]): Promise<void> {
  const expected = new Map<string, number>();
  for (const { type, data } of events) {
    const sign = { ItemAddedToCart: 1, ItemQuantityChanged: 1, ItemRemovedFromCart: -1 }[type];
    if (sign === undefined) continue;
    const { sku, quantity, previousQuantity = 0 } = pieces.parse(data);
    expected.set(sku, (expected.get(sku) ?? 0) + sign * quantity - previousQuantity);
  }
  const carts = cartRows.parse(
    await derived.query('SELECT id, status, merged_into AS "mergedInto", lines FROM cart_view'),
  );
  const found = new Map<string, number>();
  for (const { sku, quantity } of carts.flatMap(({ lines }) => lines)) {
    found.set(sku, (found.get(sku) ?? 0) + quantity);
  }
  expect(found, 'every piece is in one cart').toEqual(expected);
  for (const { id, status, lines, mergedInto } of carts) {
    expect(['OPEN', 'MERGED'], `the status of ${id}`).toContain(status);
    if (status === 'MERGED') expect([lines, mergedInto]).toEqual([[], expect.any(String)]);
  }
}

async function count({ log }: Database, rows: string): Promise<number> {
  return countRow.parse(await log.query(`SELECT count(*)::int AS count FROM ${rows}`))[0].count;
}
