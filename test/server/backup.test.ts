import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { StoredEvents } from '../../src/eventsourcing/log/stored-events.ts';
import { type Database, openDatabase } from '../../src/platform/database.ts';
import { Buyer } from '../support/buyer.ts';
import { addProducts, Load } from '../support/cart-load.ts';
import { commandLine } from '../support/command-line.ts';
import { eventually, inMs } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { auditStore } from '../support/store-audit.ts';
import { type StoreKind, storeKinds, type TestStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

// A backup of a store that is in use, restored into an empty one of either engine, is that store at one instant.

const SKUS = ['A', 'B', 'C'];
const headRow = z.tuple([z.object({ epoch: z.string(), position: z.coerce.number() })]);
const ids = z.array(z.object({ id: z.string() }));
const ready = z.object({ status: z.string(), paused: z.object({ reason: z.string() }).nullable() });
const sealed = z.object({ seals: z.object({ position: z.string() }) });
const followed = z.object({ followers: z.array(z.object({ lag: z.number() })) });

const headOf = async ({ log }: Database) =>
  headRow.parse(await log.query('SELECT epoch, position FROM log_head WHERE id = 1'))[0];

async function linesOf({ log }: Database, until: number): Promise<string[]> {
  const stored = new StoredEvents(log);
  const lines: string[] = [];
  for (let position = 0; ; ) {
    const events = (await stored.readAfter(position, 1_000)).filter((it) => it.position <= until);
    const last = events.at(-1);
    if (last === undefined) return lines;
    lines.push(...events.map(({ line }) => line));
    position = last.position;
  }
}

async function openedOver<Result>({ settings }: TestStore, work: (database: Database) => Promise<Result>) {
  const database = await openDatabase(settings);
  try {
    return await work(database);
  } finally {
    await database.close();
  }
}

const ways: readonly (readonly [StoreKind, StoreKind])[] = storeKinds.flatMap((from) =>
  storeKinds.map((to) => [from, to] as const),
);

describe.each(ways.map(([from, to]) => ({ from, to, name: `${from.engine} into ${to.engine}` })))(
  'A backup of $name',
  ({ from, to }) => {
    const folder = mkdtempSync(join(tmpdir(), 'cartstream-backup-'));
    const file = join(folder, 'shop.backup');
    let source: TestStore;
    let target: TestStore;
    let server: ServerProcess;
    let order: Order;
    /** A command that is queued for an hour later. */
    let queued: string;

    beforeAll(async () => {
      [source, target] = await Promise.all([from.create(), to.createBare()]);
      server = await startServerProcess(source);
    });
    afterAll(async () => {
      await server.kill();
      await Promise.all([source.remove(), target.remove()]);
      rmSync(folder, { recursive: true, force: true });
    });

    test('is made while carts are filled, and the shop goes on', async () => {
      await addProducts(server.url, SKUS);
      const buyer = new Buyer(server.url);
      order = await buyer.placed({ A: 2 });
      queued = await buyer.queue(
        'addItemToCart',
        { cartId: await buyer.newCart(), sku: 'A', quantity: 1 },
        {
          dueAt: inMs(3_600_000),
        },
      );
      const load = new Load(() => server.url, SKUS, 2);
      await load.begin(8);
      await eventually(async () => {
        const { seals } = sealed.parse(await (await fetch(new URL('/health/ready', server.url))).json());
        expect(seals.position).not.toMatch(/\.0+$/);
      });
      const before = load.acknowledged.length;
      const made = await commandLine(['backup', file, '--url', server.url], source.environment);
      expect(made).toMatchObject({
        code: 0,
        errors: expect.stringMatching(from.engine === 'pglite' ? /^The server copied .* for \d+ ms\.\n$/ : /^$/),
      });
      expect(load.acknowledged.length).toBeGreaterThan(before);
      await within(30_000, 'the last answers', load.finish());
      expect([...load.troubles.keys()]).toEqual([]);
      // Nothing of the way in which it was made is left.
      expect(readdirSync(folder)).toEqual(['shop.backup']);
      const { DATA_DIR } = source.environment;
      if (DATA_DIR !== undefined) expect(readdirSync(DATA_DIR).filter((it) => it.startsWith('copy-'))).toEqual([]);
    });

    test('is not written over what is there', async () => {
      const before = readFileSync(file);
      const { code, errors } = await commandLine(['backup', file, '--url', server.url], source.environment);
      expect([code, errors]).toEqual([1, `${file} is there already: name another file, or remove that one.\n`]);
      expect(readFileSync(file).equals(before)).toBe(true);
    });

    test('fills an empty store, event by event, in a new epoch', async () => {
      const { code, out } = await commandLine(['restore', file], target.environment);
      expect(code).toBe(0);
      expect(out).toMatch(/^The store is as it was at position \d+, /);
      await server.stop();
      const restored = await openedOver(target, async (database) => {
        const head = await headOf(database);
        return { ...head, lines: await linesOf(database, head.position) };
      });
      await openedOver(source, async (database) => {
        const { epoch, position } = await headOf(database);
        expect(restored.position).toBeLessThan(position);
        expect(restored.epoch > epoch).toBe(true);
        expect(restored.lines).toHaveLength(restored.position);
        expect(restored.lines).toEqual(await linesOf(database, restored.position));
      });
      // Its seals came along, and hold on the other engine, too.
      const verified = await commandLine(['verify'], target.environment);
      expect(verified).toMatchObject({
        code: 0,
        out: expect.stringMatching(/events are whole .* sealed up to event [1-9]/),
      });
    });

    test('is not restored over what is there', async () => {
      const { code, errors } = await commandLine(['restore', file], target.environment);
      expect(code).toBe(1);
      expect(errors).toMatch(/^There is something in this store already, and nothing was changed/);
      // Back to a position as the API gave it: it is understood.
      const until = await commandLine(['restore', file, '--until', order.position], target.environment);
      expect(until.errors).toMatch(/^There is something in this store already/);
    });

    test('waits with what is queued until it is resumed, and answers meanwhile', async () => {
      await openedOver(target, ({ log }) =>
        log.query("UPDATE command_queue SET due_at = now() - interval '1 minute' WHERE command_id = $1::uuid", queued),
      );
      server = await startServerProcess(target);
      const buyer = new Buyer(server.url);
      expect(await buyer.order(order.id)).toMatchObject({ number: order.number, total: order.total });
      const health = async () => ready.parse(await (await fetch(new URL('/health/ready', server.url))).json());
      expect(await health()).toMatchObject({
        status: 'ready',
        paused: { reason: expect.stringMatching(/^It was restored/) },
      });
      // A command of a client runs, and what it has queued waits like the rest.
      const cartId = await buyer.newCart();
      const waiting = await buyer.queue('addItemToCart', { cartId, sku: 'A', quantity: 1 });
      expect(await buyer.addItem(cartId, 'B', 1)).toMatchObject({ __typename: 'CartPayload' });
      expect((await buyer.command(waiting))?.status).toBe('QUEUED');
      expect((await buyer.command(queued))?.status).toBe('QUEUED');

      const resumed = await commandLine(['resume', '--url', server.url], target.environment);
      expect(resumed).toEqual({ code: 0, out: 'What is queued runs.\n', errors: '' });
      await buyer.untilStatus(waiting, 'SUCCEEDED');
      await buyer.untilStatus(queued, 'SUCCEEDED');
      expect((await health()).paused).toBeNull();
    });

    test('has read tables that are folds of its log', async () => {
      await eventually(async () => {
        const { followers } = followed.parse(await (await fetch(new URL('/health/ready', server.url))).json());
        expect(Math.max(...followers.map(({ lag }) => lag))).toBe(0);
      });
      await server.stop();
      await openedOver(target, async (database) => {
        const commands = ids.parse(await database.log.query('SELECT command_id AS id FROM commands'));
        await auditStore(
          database,
          [],
          commands.map(({ id }) => id),
        );
      });
    });
  },
);
