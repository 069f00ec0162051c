import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { cartContext } from '../../src/contexts/cart/index.ts';
import { type CartMessage, cartMessage, cartStreamOf } from '../../src/contexts/cart/messages.ts';
import { cartProductProjection } from '../../src/contexts/cart/product-copy.ts';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { catalogContext } from '../../src/contexts/catalog/index.ts';
import { type CatalogRequest, stockMessage } from '../../src/contexts/catalog/messages.ts';
import { productProjection } from '../../src/contexts/catalog/projection.ts';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { ADDRESS } from '../support/carts.ts';
import { testMasterKey } from '../support/master-key.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { rejected, succeeded } from '../support/tally-engine.ts';

const CONTEXTS = [catalogContext, cartContext];
const AN_HOUR = 3_600_000;

describeEachStore('Stock, coupons and carts in the engine', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    engine = await Engine.start({
      ...{ database, masterKey: testMasterKey, clock: systemClock, ids: randomIds, logger: createLogger('silent') },
      aggregates: CONTEXTS.flatMap(({ aggregates }) => aggregates),
      projections: CONTEXTS.flatMap(({ projections }) => projections),
    });
  });
  afterAll(async () => {
    await engine.stop();
    await database.close();
    await store.remove();
  });

  const run = (name: string, data: object) => {
    const commandId = randomUUID();
    return engine.executor.execute({ commandId, name, data, actor: SYSTEM, correlationId: commandId });
  };
  /** What a process sends. */
  const send = ({ type, data }: CatalogRequest) => run(type, data);

  /** A product of which there are so many. @returns its sku */
  async function product(stock: number): Promise<string> {
    const sku = `SKU-${randomUUID()}`;
    succeeded(await run('AddProduct', { sku, name: sku, price: { amountMinor: 250, currency: 'GBP' }, stock }));
    return sku;
  }

  const order = (...lines: [sku: string, quantity: number][]) => ({
    orderId: randomUUID(),
    lines: lines.map(([sku, quantity]) => ({ sku, quantity })),
  });
  const reserve = (it: ReturnType<typeof order>) =>
    send({ type: 'ReserveStock', data: { ...it, expiresAt: new Date(Date.now() + AN_HOUR).toISOString() } });

  /** What can be sold, as the shop shows it and as carts decide from it. */
  async function available(sku: string): Promise<number | undefined> {
    await engine.reachAll(['StockReserved'], engine.tail.head, 10_000);
    const shown = await engine.view(productProjection).readUpToDate(sku);
    const copied = await engine.view(cartProductProjection).readUpToDate(sku);
    expect(copied?.available).toBe(shown?.available);
    return shown?.available;
  }

  test('An order of several products gets all of them, or none', async () => {
    const [plenty, scarce] = [await product(10), await product(1)];
    const big = await reserve(order([plenty, 2], [scarce, 2]));
    expect(rejected(big).rejection).toMatchObject({
      code: 'INSUFFICIENT_STOCK',
      sku: scarce,
      requested: 2,
      available: 1,
    });
    expect([await available(plenty), await available(scarce)]).toEqual([10, 1]);
    const small = order([plenty, 2], [scarce, 1]);
    succeeded(await reserve(small));
    expect([await available(plenty), await available(scarce)]).toEqual([8, 0]);
    expect((await reserve(small)).receipt).toMatchObject({ status: 'SUCCEEDED', position: null });

    succeeded(await send({ type: 'CommitStock', data: small }));
    expect([await available(plenty), await available(scarce)]).toEqual([8, 0]);
    succeeded(
      await send({
        type: 'RestockReturn',
        data: { ...small, returnId: randomUUID(), lines: [{ sku: plenty, quantity: 1 }] },
      }),
    );
    succeeded(await send({ type: 'ReleaseStock', data: { ...small, reason: 'CANCELLED' } }));
    expect([await available(plenty), await available(scarce)]).toEqual([10, 1]);

    const { orderId } = small;
    const events = await engine.log.readStreams([`stock-${plenty}`, `stock-${scarce}`]);
    expect(events.map(stockMessage).filter(Boolean)).toEqual([
      { type: 'OrderStockReserved', orderId },
      { type: 'OrderStockCommitted', orderId },
      { type: 'OrderReturnRestocked', orderId, returnId: expect.any(String) },
      { type: 'OrderStockReleased', orderId },
    ]);
  });

  test('Two hundred orders want the last fifty pieces at once: fifty get one, and carts know that none is left', async () => {
    const sku = await product(50);
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => reserve(order([sku, 1]))));
    expect(outcomes.filter(({ outcome }) => outcome === 'succeeded')).toHaveLength(50);
    for (const each of outcomes) {
      if (each.outcome === 'rejected')
        expect(each.rejection).toMatchObject({ code: 'INSUFFICIENT_STOCK', available: 0 });
    }
    expect(await available(sku)).toBe(0);
    const cartId = randomUUID();
    succeeded(await run('CreateCart', { cartId, currency: 'GBP' }));
    const added = await run('AddItemToCart', { cartId, sku, quantity: 1 });
    expect(rejected(added).rejection).toMatchObject({ code: 'INSUFFICIENT_STOCK', available: 0 });
    expect(rejected(await run('AdjustStock', { sku, delta: -1, reason: 'count' })).rejection).toMatchObject({
      ...{ code: 'INSUFFICIENT_STOCK', available: 0 },
    });
  });

  test('Carts are decided from products and coupons, many at once', async () => {
    const sku = await product(1_000);
    const code = `TEN-${randomUUID()}`.slice(0, 40).toUpperCase();
    succeeded(await run('AddCoupon', { code, label: 'Ten percent', percent: 10 }));
    await engine.reachAll(['CouponAdded', 'StockOpened'], engine.tail.head, 10_000);
    const carts = Array.from({ length: 20 }, () => randomUUID());
    const outcomes = await Promise.all(
      carts.flatMap((cartId) => [
        run('CreateCart', { cartId, currency: 'GBP' }),
        run('AddItemToCart', { cartId, sku, quantity: 2 }),
        run('ApplyCoupon', { cartId, code: code.toLowerCase() }),
        run('AddItemToCart', { cartId, sku: 'none', quantity: 1 }),
        run('ApplyCoupon', { cartId, code: 'NONE' }),
      ]),
    );
    for (const at of carts.keys()) {
      const [created, added, applied, noProduct, noCoupon] = outcomes.slice(5 * at);
      for (const each of [created, added, applied]) expect(each).toMatchObject({ outcome: 'succeeded' });
      expect(noProduct).toMatchObject({ rejection: { code: 'NOT_FOUND', id: 'none' } });
      expect(noCoupon).toMatchObject({ rejection: { code: 'COUPON_INVALID', reason: 'UNKNOWN' } });
    }
  });

  test('A cart that is checked out tells all that an order is made of, and goes on once it is given back', async () => {
    const sku = await product(10);
    const [cartId, orderId] = [randomUUID(), randomUUID()];
    await engine.reachAll(['StockOpened'], engine.tail.head, 10_000);
    succeeded(await run('CreateCart', { cartId, currency: 'GBP' }));
    succeeded(await run('AddItemToCart', { cartId, sku, quantity: 2 }));
    const person = { customerId: cartId, email: 'carla@example.org', shippingAddress: ADDRESS };
    const { receipt } = await run('CheckOutCart', { cartId, orderId, ...person });
    expect(receipt).toMatchObject({ status: 'RUNNING', version: 3 });
    const lines = [{ sku, name: sku, quantity: 2, unitPrice: { amountMinor: 250, currency: 'GBP' } }];
    const requested: CartMessage = {
      ...{ type: 'CartCheckOutRequested', cartId, version: 3, orderId, commandId: receipt?.commandId ?? '', ...person },
      ...{ ownerId: null, currency: 'GBP', lines, discounts: [], couponCode: null },
    };
    const [event] = await engine.log.readStreams([cartStreamOf(cartId)], 2);
    expect(event && cartMessage(event)).toEqual(requested);

    const shown = async () => {
      await engine.reachAll(['CartCheckOutStarted'], engine.tail.head, 10_000);
      return engine.view(cartProjection).readUpToDate(cartId);
    };
    expect(await shown()).toMatchObject({ status: 'CHECKING_OUT', orderId });
    expect(rejected(await run('ClearCart', { cartId })).rejection).toMatchObject({ state: 'CHECKING_OUT' });
    succeeded(await run('CancelCartCheckOut', { cartId, orderId, reason: 'INSUFFICIENT_STOCK' }));
    expect(await shown()).toMatchObject({ status: 'OPEN', orderId: null });
    const again = randomUUID();
    await run('CheckOutCart', { cartId, orderId: again, ...person });
    succeeded(await run('CompleteCartCheckOut', { cartId, orderId: again }));
    expect(await shown()).toMatchObject({ status: 'CHECKED_OUT', orderId: again });
  });
});
