import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { type Outcome, Shop, unknownCartId } from '../support/shop.ts';
import { describeEachStore, type StoreKind, storeKinds, type TestStore } from '../support/stores.ts';

describeEachStore('Many at the same cart', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Shop;
  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    shop = new Shop(server.url);
    await Promise.all(Array.from({ length: 50 }, (_, at) => shop.addProduct(`P${at}`, { price: 100 + at })));
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  test('50 clients each add another product at once: 50 lines, version 51, and nobody sees an error', async () => {
    const cartId = await shop.newCart();
    const outcomes = await Promise.all(
      Array.from({ length: 50 }, (_, at) => new Shop(server.url).addItem(cartId, `P${at}`)),
    );
    expect(outcomes.map(({ __typename }) => __typename)).toEqual(outcomes.map(() => 'CartPayload'));
    expect(versionsOf(outcomes)).toEqual(Array.from({ length: 50 }, (_, at) => at + 2));
    const cart = await shop.cart(cartId);
    expect(cart?.version).toBe(51);
    expect(cart?.lines).toHaveLength(50);
    expect(cart?.total.amountMinor).toBe(50 * 100 + (49 * 50) / 2);
  });

  test('each of them reads back its own addition in the answer', async () => {
    const cartId = await shop.newCart();
    const outcomes = await Promise.all(Array.from({ length: 50 }, (_, at) => shop.addItem(cartId, `P${at}`)));
    for (const [at, { cart, receipt }] of outcomes.entries()) {
      expect(cart?.lines.map(({ sku }) => sku)).toContain(`P${at}`);
      expect(cart?.version).toBeGreaterThanOrEqual(receipt?.version ?? Number.NaN);
    }
  });

  test('a command that changes nothing answers with what it was decided on', async () => {
    const cartId = await shop.newCart();
    await shop.addItem(cartId, 'P1', 1);
    for (let quantity = 2; quantity < 30; quantity += 1) {
      const same = { cartId, sku: 'P1', quantity };
      const outcomes = await Promise.all(Array.from({ length: 6 }, () => shop.run('changeItemQuantity', same)));
      expect(outcomes.map(({ cart }) => cart?.lines[0]?.quantity)).toEqual(outcomes.map(() => quantity));
    }
  });

  test('200 additions of one product at once add up exactly', async () => {
    const cartId = await shop.newCart();
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => shop.addItem(cartId, 'P1', 3)));
    expect(outcomes.filter(({ __typename }) => __typename !== 'CartPayload')).toEqual([]);
    expect(await shop.cart(cartId)).toMatchObject({
      version: 201,
      itemCount: 600,
      lines: [{ sku: 'P1', quantity: 600 }],
    });
  });

  test('what is beyond the limit is refused to exactly those who were too late', async () => {
    const cartId = await shop.newCart();
    const outcomes = await Promise.all(Array.from({ length: 30 }, () => shop.addItem(cartId, 'P1', 500)));
    const names = outcomes.map(({ __typename }) => __typename);
    expect(names.filter((it) => it === 'CartPayload')).toHaveLength(20);
    expect(names.filter((it) => it === 'LimitExceeded')).toHaveLength(10);
    expect((await shop.cart(cartId))?.itemCount).toBe(10_000);
  });
});

describeEachStore('A command that is sent again', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Shop;
  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    shop = new Shop(server.url);
    await shop.addProduct('A', { stock: 100 });
    await shop.addProduct('B', { stock: 5 });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });
  const restart = async () => {
    await server.stop();
    server = await startLocalServer(store);
    shop = new Shop(server.url);
  };

  test('20 times at once and once more after a restart changes one thing, and has one receipt', async () => {
    const cartId = await shop.newCart();
    const again = { commandId: randomUUID() };
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => shop.addItem(cartId, 'A', 2, again)));
    const first = outcomes.find(({ receipt }) => receipt?.replayed === false);
    expect(outcomes.map(({ receipt }) => receipt?.replayed).filter((it) => it === false)).toHaveLength(1);
    await restart();
    outcomes.push(await shop.addItem(cartId, 'A', 2, again));
    expect(outcomes.at(-1)?.receipt?.replayed).toBe(true);
    for (const { __typename, receipt } of outcomes) {
      expect({ __typename, receipt: { ...receipt, replayed: false } }).toEqual({
        __typename: 'CartPayload',
        receipt: first?.receipt,
      });
    }
    expect(await shop.cart(cartId)).toMatchObject({ version: 2, itemCount: 2 });
  });

  test('in another spelling of its id is the same command', async () => {
    const cartId = await shop.newCart();
    const commandId = randomUUID();
    await shop.addItem(cartId, 'A', 1, { commandId });
    const outcome = await shop.addItem(cartId, 'A', 1, { commandId: commandId.toUpperCase() });
    expect(outcome.receipt).toMatchObject({ commandId, replayed: true });
  });

  test.each([
    ['another quantity', { quantity: 3 }],
    ['another product', { sku: 'B' }],
    ['an expectedVersion', { expectedVersion: 1 }],
    ['another cart', { cartId: unknownCartId() }],
  ])('with %s is refused: the id was used before', async (_, changes) => {
    const cartId = await shop.newCart();
    const input = { commandId: randomUUID(), cartId, sku: 'A', quantity: 2 };
    await shop.run('addItemToCart', input);
    const outcome = await shop.run('addItemToCart', { ...input, ...changes });
    expect(outcome).toMatchObject({ __typename: 'CommandIdReused', commandId: input.commandId, receipt: null });
    expect(await shop.cart(cartId)).toMatchObject({ version: 2, itemCount: 2 });
  });

  test('as another command is refused, also when both come at once', async () => {
    const cartId = await shop.newCart();
    const commandId = randomUUID();
    const outcomes = await Promise.all([
      shop.addItem(cartId, 'A', 1, { commandId }),
      shop.run('clearCart', { cartId, commandId }),
    ]);
    expect(outcomes.map(({ __typename }) => __typename).sort()).toEqual(['CartPayload', 'CommandIdReused']);
  });

  test('that began a cart shows that same cart again', async () => {
    const commandId = randomUUID();
    const first = await shop.run('createCart', { commandId });
    const second = await shop.run('createCart', { commandId });
    expect(second.cart).toEqual(first.cart);
    expect(second.receipt?.replayed).toBe(true);
  });

  test('that added a product adds it once, stock and all', async () => {
    const commandId = randomUUID();
    const outcomes = await Promise.all(Array.from({ length: 20 }, () => shop.addProduct('C', { stock: 7, commandId })));
    expect(outcomes.filter(({ receipt }) => receipt?.replayed === false)).toHaveLength(1);
    expect(await shop.product('C')).toMatchObject({ version: 1, stockVersion: 1, available: 7 });
  });

  test('that was refused is refused again with the same receipt, whatever has changed since', async () => {
    const cartId = await shop.newCart();
    const commandId = randomUUID();
    const first = await shop.addItem(cartId, 'B', 6, { commandId });
    expect(first).toMatchObject({
      __typename: 'InsufficientStock',
      requested: 6,
      available: 5,
      receipt: { commandId, status: 'REJECTED', position: null, version: 1, replayed: false },
    });
    await shop.run('adjustStock', { sku: 'B', delta: 100, reason: 'delivery' });
    await restart();
    const second = await shop.addItem(cartId, 'B', 6, { commandId });
    expect(second).toEqual({ ...first, receipt: { ...first.receipt, replayed: true } });
    await shop.run('adjustStock', { sku: 'B', delta: -100, reason: 'back' });
  });

  test('that changed nothing says so each time', async () => {
    const cartId = await shop.newCart();
    const commandId = randomUUID();
    const first = await shop.run('clearCart', { cartId, commandId });
    expect(first.receipt).toMatchObject({ status: 'SUCCEEDED', position: null, version: 1, replayed: false });
    const second = await shop.run('clearCart', { cartId, commandId });
    expect(second.receipt).toMatchObject({ status: 'SUCCEEDED', position: null, version: 1, replayed: true });
  });

  test('after its input was not valid succeeds with the same id', async () => {
    const cartId = await shop.newCart();
    const commandId = randomUUID();
    const wrong = await shop.addItem(cartId, 'A', 0, { commandId });
    expect(wrong).toMatchObject({ __typename: 'ValidationFailed', receipt: null, fields: [{ path: ['quantity'] }] });
    expect((await shop.addItem(cartId, 'A', 1, { commandId })).receipt).toMatchObject({ commandId, replayed: false });
  });
});

describeEachStore('A command with an expectedVersion', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Shop;
  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    shop = new Shop(server.url);
    await shop.addProduct('A');
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  test('that is behind is told what happened since, and succeeds with the right one and the same id', async () => {
    const cartId = await shop.newCart();
    await shop.addItem(cartId, 'A', 2);
    await shop.run('removeItemFromCart', { cartId, sku: 'A' });
    const commandId = randomUUID();
    const conflict = await shop.addItem(cartId, 'A', 1, { commandId, expectedVersion: 1 });
    expect(conflict).toMatchObject({
      __typename: 'VersionConflict',
      expectedVersion: 1,
      actualVersion: 3,
      receipt: null,
      eventsSince: [
        { __typename: 'ItemAddedToCart', type: 'ItemAddedToCart', version: 2 },
        { __typename: 'ItemRemovedFromCart', type: 'ItemRemovedFromCart', version: 3 },
      ],
    });
    const outcome = await shop.addItem(cartId, 'A', 1, { commandId, expectedVersion: 3 });
    expect(outcome).toMatchObject({ __typename: 'CartPayload', receipt: { commandId, version: 4, replayed: false } });
    const again = await shop.addItem(cartId, 'A', 1, { commandId, expectedVersion: 3 });
    expect(again.receipt).toEqual({ ...outcome.receipt, replayed: true });
  });

  test('that is ahead conflicts too, and nothing has happened since', async () => {
    const cartId = await shop.newCart();
    expect(await shop.addItem(cartId, 'A', 1, { expectedVersion: 7 })).toMatchObject({
      __typename: 'VersionConflict',
      actualVersion: 1,
      eventsSince: [],
    });
  });

  test('is won by one of 20 who all saw the same', async () => {
    const cartId = await shop.newCart();
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, () => shop.addItem(cartId, 'A', 1, { expectedVersion: 1 })),
    );
    const names = outcomes.map(({ __typename }) => __typename).sort();
    expect(names).toEqual(['CartPayload', ...Array.from({ length: 19 }, () => 'VersionConflict')]);
    expect(await shop.cart(cartId)).toMatchObject({ version: 2, itemCount: 1 });
  });

  test("checks a stock's own version", async () => {
    const adjust = { sku: 'A', delta: 1, reason: 'count' };
    const { product } = await shop.run('changeProductPrice', { sku: 'A', price: { amountMinor: 9, currency: 'GBP' } });
    expect(product).toMatchObject({ version: 2, stockVersion: 1 });
    expect(await shop.run('adjustStock', { ...adjust, expectedVersion: 2 })).toMatchObject({
      __typename: 'VersionConflict',
      actualVersion: 1,
    });
    expect(await shop.run('adjustStock', { ...adjust, expectedVersion: 1 })).toMatchObject({
      product: { version: 2, stockVersion: 2 },
    });
  });
});

const postgresql: StoreKind | undefined = storeKinds.find(({ engine }) => engine === 'postgresql');

describe.runIf(postgresql !== undefined)('Two servers on one database', () => {
  let store: TestStore;
  let servers: LocalServer[];
  let shops: Shop[];
  beforeAll(async () => {
    if (postgresql === undefined) return;
    store = await postgresql.create();
    servers = [await startLocalServer(store), await startLocalServer(store)];
    shops = servers.map(({ url }) => new Shop(url));
    await shops[0]?.addProduct('A');
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
    await store.remove();
  });

  test('add up exactly what both are sent for one cart', async () => {
    const cartId = await shops[0]?.newCart();
    if (cartId === undefined) throw new Error('No cart.');
    const outcomes = await Promise.all(
      shops.flatMap((shop) => Array.from({ length: 50 }, () => shop.addItem(cartId, 'A', 1))),
    );
    expect(versionsOf(outcomes)).toEqual(Array.from({ length: 100 }, (_, at) => at + 2));
    for (const shop of shops) {
      expect(
        await shop.cart(
          cartId,
          outcomes
            .map(({ receipt }) => receipt?.position)
            .sort()
            .at(-1),
        ),
      ).toMatchObject({
        version: 101,
        itemCount: 100,
      });
    }
  });

  test('run a command that both are sent once', async () => {
    const cartId = await shops[0]?.newCart();
    if (cartId === undefined) throw new Error('No cart.');
    const again = { commandId: randomUUID() };
    const outcomes = await Promise.all(
      shops.flatMap((shop) => Array.from({ length: 10 }, () => shop.addItem(cartId, 'A', 1, again))),
    );
    expect(outcomes.filter(({ receipt }) => receipt?.replayed === false)).toHaveLength(1);
    expect(new Set(outcomes.map(({ receipt }) => receipt?.position)).size).toBe(1);
  });

  test('know a position at once that the other has just given', async () => {
    const [first, second] = shops;
    if (first === undefined || second === undefined) throw new Error('Two servers are needed.');
    for (let round = 0; round < 10; round += 1) {
      const { cart, receipt } = await first.run('createCart', {});
      expect((await second.cart(cart?.id ?? '', receipt?.position))?.id).toBe(cart?.id);
    }
  });
});

function versionsOf(outcomes: readonly Outcome[]): (number | null | undefined)[] {
  return outcomes.map(({ receipt }) => receipt?.version).sort((a, b) => Number(a) - Number(b));
}
