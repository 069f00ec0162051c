import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { openDatabase } from '../../src/platform/database.ts';
import { simulatorSecrets } from '../../src/simulators/start.ts';
import { Buyer, orderOf } from '../support/buyer.ts';
import { randomOf } from '../support/merge-load.ts';
import { eventually } from '../support/operator.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import type { Outcome } from '../support/shop.ts';
import { Cleanup, startCarrier, startPayments } from '../support/simulators.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const CUSTOMERS = 200;
const UNITS = 50;
const SECRET = 'no oversell';
/** So many at once take a machine that does other things as well a while. */
const PATIENCE = { timeout: 180_000 };
const MIXED = ['P0', 'P1', 'P2', 'P3', 'P4'];
const MIXED_STOCK = 20;

const soldRows = z.array(z.object({ sku: z.string(), type: z.string(), orders: z.number(), pieces: z.number() }));
const SOLD = `
  SELECT data->>'sku' AS sku, type, count(DISTINCT data->>'orderId')::int AS orders, sum((data->>'quantity')::int)::int AS pieces
  FROM events WHERE type LIKE 'Stock%' AND data ? 'orderId' GROUP BY 1, 2`;

describeEachStore('Never more is sold than there is,', (kind) => {
  const cleanup = new Cleanup();
  let store: TestStore;
  let servers: ServerProcess[];
  let buyers: Buyer[];
  /** Any of them: they all say the same. */
  let buyer: Buyer;
  /** What was sold of each product, as told by the answers. */
  const sold: Record<string, number> = {};

  beforeAll(async () => {
    store = await kind.create();
    cleanup.add(store.remove);
    const secrets = simulatorSecrets(SECRET);
    const payments = await startPayments(cleanup, secrets);
    const carrier = await startCarrier(cleanup, secrets);
    const environment = {
      SIMULATOR_SECRET: SECRET,
      PAYMENT_PROVIDER_URL: payments.url,
      CARRIER_URL: carrier.url,
      READ_WAIT_MS: '60000',
    };
    const start = async () => {
      const server = await startServerProcess(store, ['--no-seed'], environment);
      cleanup.add(() => server.kill());
      return server;
    };
    // An embedded store belongs to one process.
    servers = await Promise.all(kind.engine === 'pglite' ? [start()] : [start(), start()]);
    buyers = servers.map(({ url }) => new Buyer(url));
    buyer = buyerAt(0);
    await buyer.addProduct('LAST', { price: 100, stock: UNITS });
    for (const sku of MIXED) await buyer.addProduct(sku, { price: 100, stock: MIXED_STOCK });
  });
  afterAll(() => cleanup.run());

  function buyerAt(at: number): Buyer {
    const found = buyers[at % buyers.length];
    if (found === undefined) throw new Error('There is no server.');
    return found;
  }

  /** Checks carts out all at once, each through the next server. */
  const checkOutAll = (carts: readonly string[]): Promise<Outcome[]> =>
    Promise.all(carts.map((cartId, at) => buyerAt(at).checkOut(cartId)));

  const ordersIn = (outcomes: readonly Outcome[]) =>
    outcomes.filter(({ __typename }) => __typename === 'OrderPayload').map(orderOf);

  async function expectCarts(carts: readonly string[], outcomes: readonly Outcome[]): Promise<void> {
    await eventually(async () => {
      const statuses = await Promise.all(carts.map(async (id) => (await buyer.cart(id))?.status));
      expect(statuses).toEqual(outcomes.map((it) => (it.__typename === 'OrderPayload' ? 'CHECKED_OUT' : 'OPEN')));
    });
  }

  test(`when ${CUSTOMERS} customers check out the last ${UNITS} units at once`, PATIENCE, async () => {
    const carts = await Promise.all(
      Array.from({ length: CUSTOMERS }, (_, at) => buyerAt(Math.floor(at / 3)).cartWith({ LAST: 1 })),
    );
    const outcomes = await checkOutAll(carts);
    const orders = ordersIn(outcomes);
    expect(orders).toHaveLength(UNITS);
    for (const outcome of outcomes.filter(({ __typename }) => __typename !== 'OrderPayload')) {
      expect(outcome).toMatchObject({ __typename: 'InsufficientStock', sku: 'LAST', requested: 1, available: 0 });
    }
    expect(await buyer.available('LAST')).toBe(0);
    expect((await buyer.orders()).totalCount).toBe(UNITS);
    await expectCarts(carts, outcomes);

    const paid = await Promise.all(orders.map(({ id }, at) => buyerAt(at).pay(id)));
    expect(new Set(paid.map(({ __typename }) => __typename))).toEqual(new Set(['OrderPayload']));
    expect(await buyer.available('LAST')).toBe(0);
    sold['LAST'] = UNITS;
  });

  test(
    'when orders want the same products, each in another order: each gets all that it wants, or nothing',
    PATIENCE,
    async () => {
      const random = randomOf(7);
      const wishes = Array.from({ length: 40 }, () => {
        const skus = MIXED.map((sku) => ({ sku, at: random() })).sort((one, other) => one.at - other.at);
        return Object.fromEntries(skus.slice(0, 3).map(({ sku }) => [sku, 1 + Math.floor(random() * 3)]));
      });
      const carts = await Promise.all(wishes.map((pieces, at) => buyerAt(at).cartWith(pieces)));
      const outcomes = await checkOutAll(carts);
      await expectCarts(carts, outcomes);
      const orders = ordersIn(outcomes);
      for (const { sku, quantity } of orders.flatMap(({ lines }) => lines)) sold[sku] = (sold[sku] ?? 0) + quantity;
      for (const sku of MIXED) expect(await buyer.available(sku)).toBe(MIXED_STOCK - (sold[sku] ?? 0));
      // What did not fit then does not fit now: nobody was turned away for what was held for somebody who got nothing.
      for (const outcome of outcomes.filter(({ __typename }) => __typename !== 'OrderPayload')) {
        expect(outcome.__typename).toBe('InsufficientStock');
        expect(await buyer.available(outcome.sku ?? '')).toBeLessThan(outcome.requested ?? 0);
      }
      expect(orders.length).toBeGreaterThan(5);
      await Promise.all(orders.map(({ id }, at) => buyerAt(at).pay(id)));
    },
  );

  describe('so that in the end', () => {
    test('stock, reservations and orders add up', async () => {
      for (const server of servers) expect(await server.stop()).toBe(0);
      const database = await openDatabase(store.settings);
      cleanup.add(database.close);
      const rows = soldRows.parse(await database.log.query(SOLD));
      const pieces = (type: string) =>
        Object.fromEntries(rows.filter((it) => it.type === type).map((it) => [it.sku, it.pieces]));
      expect(pieces('StockReserved')).toEqual(sold);
      expect(pieces('StockCommitted')).toEqual(sold);
      expect(new Set(rows.map(({ type }) => type))).toEqual(new Set(['StockReserved', 'StockCommitted']));
      expect(rows.find(({ sku, type }) => sku === 'LAST' && type === 'StockCommitted')?.orders).toBe(UNITS);
    });
  });
});
