import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { afterEach, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import { ReadRows } from '../../src/eventsourcing/projections/read-table.ts';
import { openDatabase } from '../../src/platform/database.ts';
import { addProducts, Load, sendCommand } from '../support/cart-load.ts';
import { copiedCart, copyCart } from '../support/copied-carts.ts';
import { shadowTables } from '../support/rebuilds.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { contextLog } from '../support/store-audit.ts';
import { describeEachStore } from '../support/stores.ts';
import { byKey, foldEvents } from '../support/tables.ts';
import { readWholeLog } from '../support/tally-engine.ts';
import { within } from '../support/within.ts';

const SKUS = ['SKU-0', 'SKU-1', 'SKU-2'];
const EVENTS_PER_CART = 10;
const CLIENTS = 4;
const CART = 'query ($id: ID!) { cart(id: $id) { version itemCount } }';
const REBUILD = '{ projections { name rebuild { status processed total differences differentKeys error } } }';
const BEGIN = `mutation { rebuildProjection(input: { name: "cart.carts" }) { __typename } }`;

const counted = z.tuple([z.object({ count: z.number() })]);
interface Told {
  readonly status: string;
  readonly processed: number;
  readonly total: number;
  readonly differences: number | null;
  readonly differentKeys: readonly string[];
  readonly error: string | null;
}

describeEachStore('A rebuild under load', (kind) => {
  const copies = kind.engine === 'pglite' ? 1_000 : 10_000;
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  it('goes on after its process was killed, ends right, and nobody ever sees a part of the table', async () => {
    const store = await kind.create();
    let server: ServerProcess = await startServerProcess(store);
    closing.push(store.remove, () => server.kill());
    await addProducts(server.url, SKUS);
    const original = randomUUID();
    await sendCommand(server.url, { field: 'createCart', input: { commandId: randomUUID(), newCartId: original } });
    for (let turn = 1; turn < EVENTS_PER_CART; turn += 1) {
      const input = { commandId: randomUUID(), cartId: idOf(original), sku: SKUS[turn % 3], quantity: turn };
      await sendCommand(server.url, { field: 'addItemToCart', input });
    }
    await server.stop();
    const filling = await openDatabase(store.settings);
    const filled = await copyCart(filling, original, copies);
    const wrong = [copiedCart(1), copiedCart(copies / 2), copiedCart(copies)];
    await filling.log.query('UPDATE cart_view SET version = 999 WHERE id = ANY ($1::text[])', wrong);
    await filling.close();
    expect(filled).toBeGreaterThan(copies * EVENTS_PER_CART);
    server = await startServerProcess(store);

    const shop = () => new Shop(server.url);
    const load = new Load(() => server.url, SKUS, 3);
    await load.begin(CLIENTS);
    const reading = readAll(store.settings, () => server.url, copies);
    closing.push(reading.stop);
    const told = async (): Promise<Told | undefined> => {
      const { projections } = await shop().read<{ projections: { name: string; rebuild: Told | null }[] }>(REBUILD);
      return projections.find(({ name }) => name === 'cart.carts')?.rebuild ?? undefined;
    };

    await shop().read(BEGIN);
    const before = await vi.waitFor(
      async () => {
        const now = await told();
        if (now === undefined || now.processed === 0) throw new Error(`It is ${JSON.stringify(now)}.`);
        return now;
      },
      { timeout: 20_000, interval: 5 },
    );
    expect(before).toMatchObject({ status: 'RUNNING', differences: null });
    expect(before.processed).toBeLessThan(filled);
    reading.pause();
    await server.kill();
    server = await startServerProcess(store);
    reading.goOn();
    expect((await told())?.processed).toBeGreaterThan(0);

    const after = await vi.waitFor(
      async () => {
        const now = await told();
        if (now?.status === 'FAILED') return now;
        if (now?.status !== 'SWAPPED') throw new Error(`It is ${JSON.stringify(now)}.`);
        return now;
      },
      { timeout: 60_000, interval: 50 },
    );
    expect(after).toMatchObject({ status: 'SWAPPED', differences: 3, error: null });
    expect(after.differentKeys.toSorted()).toEqual(wrong.toSorted());
    expect(after.processed).toBe(after.total);
    const done = load.acknowledged.length;
    await within(
      20_000,
      'commands after the swap',
      vi.waitFor(() => expect(load.acknowledged.length).toBeGreaterThan(done + 50), { timeout: 20_000 }),
    );
    await within(20_000, 'the last answers', load.finish());
    await reading.stop();
    expect(reading.failures).toEqual([]);
    expect(reading.reads).toBeGreaterThan(10);
    expect(await server.stop()).toBe(0);

    const database = await openDatabase(store.settings);
    closing.push(database.close);
    expect(await shadowTables(database)).toEqual([]);
    const events = await readWholeLog(await contextLog(database), 5_000);
    const rows = await new ReadRows(cartProjection.table, database.derived, new StorageCodec()).find('');
    expect(rows.length).toBe(copies + 1 + load.carts.length);
    const folded = foldEvents(cartProjection, events);
    const live = byKey(cartProjection, rows);
    const different = [...folded].filter(([key, row]) => !isDeepStrictEqual(live.get(key), row));
    expect(different.slice(0, 3)).toEqual([]);
  }, 120_000);
});

function idOf(cart: string): string {
  return Buffer.from(`Cart:${cart}`).toString('base64url');
}

/** Reads all the while, through the API, and on a server the table itself: whatever is not there, or fails, is kept. */
function readAll(settings: Parameters<typeof openDatabase>[0], url: () => string, copies: number) {
  const run: { state: 'on' | 'paused' | 'over' } = { state: 'on' };
  const reader = {
    failures: [] as string[],
    reads: 0,
    pause: () => {
      run.state = 'paused';
    },
    goOn: () => {
      run.state = 'on';
    },
    stop: async () => {
      run.state = 'over';
      await Promise.all([api, table]);
    },
  };
  const guarded = async (read: () => Promise<string | undefined>) => {
    let failure: string | undefined;
    try {
      failure = await read();
    } catch (error) {
      failure = String(error);
    }
    // What was cut off by the kill is no failure.
    if (failure !== undefined && run.state === 'on') reader.failures.push(failure);
    else reader.reads += 1;
    await delay(2);
  };
  const api = (async () => {
    for (let turn = 0; run.state !== 'over'; turn += 1) {
      const copy = 2 + ((turn * 97) % (copies / 2 - 3));
      if (run.state === 'on') {
        await guarded(async () => {
          const read = await new Shop(url()).read<{ cart: object | null }>(CART, { id: idOf(copiedCart(copy)) });
          return JSON.stringify(read) === JSON.stringify({ cart: { version: 10, itemCount: 45 } })
            ? undefined
            : `Cart ${copy} is ${JSON.stringify(read)}`;
        });
      } else await delay(5);
    }
  })();
  const table = (async () => {
    if (settings.engine === 'pglite') return;
    const database = await openDatabase(settings);
    while (run.state !== 'over') {
      await guarded(async () => {
        const [{ count }] = counted.parse(await database.derived.query('SELECT count(*)::int AS count FROM cart_view'));
        return count > copies ? undefined : `The table has ${count} rows`;
      });
    }
    await database.close();
  })();
  return reader;
}
