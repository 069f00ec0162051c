import { randomUUID } from 'node:crypto';
import type { Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { issueToken } from '../../src/server/authentication.ts';
import { eventually, inMs, Operator, rawId, receiptOf } from '../support/operator.ts';
import { mendFaults, plantFault, skipPauses } from '../support/planted-faults.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { CART, type Cart, EVENT, type Outcome, Shop, type ShopEvent, unknownCartId } from '../support/shop.ts';
import { socketClient, watch } from '../support/sockets.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const WATCH = `subscription Watch($id: ID!) {
  cartChanged(id: $id) { cart { ${CART} mergedInto { id } } events { ${EVENT} } }
}`;
interface Watched {
  readonly cartChanged: {
    readonly cart: Cart & { readonly mergedInto: { readonly id: string } | null };
    readonly events: readonly ShopEvent[];
  };
}

/** How many pieces of what are in a cart. */
const contents = (cart: Cart | null | undefined) =>
  Object.fromEntries((cart?.lines ?? []).map(({ sku, quantity }) => [sku, quantity]));

describeEachStore('Merging carts', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Operator;
  let client: Client;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    shop = new Operator(server.url);
    client = socketClient(server.webSocketUrl);
    for (const [at, sku] of ['A', 'B', 'C', 'D'].entries()) await shop.addProduct(sku, { price: 100 + at });
    await shop.addProduct('E', { currency: 'EUR' });
  });
  afterEach(mendFaults);
  afterAll(async () => {
    await client.dispose();
    await server.stop();
    await store.remove();
  });

  /** A cart with so many pieces of what. */
  async function cartWith(pieces: Readonly<Record<string, number>>, currency = 'GBP'): Promise<string> {
    const cartId = await shop.newCart(currency);
    for (const [sku, quantity] of Object.entries(pieces)) {
      expect((await shop.addItem(cartId, sku, quantity)).__typename).toBe('CartPayload');
    }
    return cartId;
  }

  const merge = (fromCartId: string, intoCartId: string, rest: object = {}, by: Shop = shop): Promise<Outcome> =>
    by.run('mergeCarts', { fromCartId, intoCartId, ...rest });

  test('moves every line; what both have keeps the price of the cart that takes it in', async () => {
    const into = await cartWith({ A: 1, B: 2 });
    await shop.run('changeProductPrice', { sku: 'B', price: { amountMinor: 500, currency: 'GBP' } });
    const from = await cartWith({ B: 3, C: 4 });
    const outcome = await merge(from, into);
    await shop.run('changeProductPrice', { sku: 'B', price: { amountMinor: 101, currency: 'GBP' } });
    expect(outcome).toMatchObject({
      __typename: 'CartPayload',
      cart: {
        id: into,
        status: 'OPEN',
        itemCount: 10,
        total: { amountMinor: 1 * 100 + 5 * 101 + 4 * 102, currency: 'GBP' },
        lines: [
          { sku: 'A', quantity: 1 },
          { sku: 'B', quantity: 5, unitPrice: { amountMinor: 101 } },
          { sku: 'C', quantity: 4 },
        ],
      },
      receipt: { status: 'SUCCEEDED', position: expect.any(String), replayed: false },
    });
    const { position } = receiptOf(outcome);
    expect(await shop.cart(into, position)).toEqual(outcome.cart);
    expect(await shop.cart(from, position)).toMatchObject({ status: 'MERGED', lines: [], itemCount: 0 });
    const left = await shop.node<{ mergedInto: { id: string } }>(from, '... on Cart { mergedInto { id } }');
    expect(left?.mergedInto.id).toBe(into);
    expect(await shop.addItem(from, 'A', 1)).toMatchObject({ __typename: 'IllegalState', state: 'MERGED' });
    expect((await shop.addItem(into, 'A', 1)).cart).toMatchObject({ itemCount: 11 });
  });

  test('of an empty cart ends it, also where the currencies differ', async () => {
    const [from, into] = [await shop.newCart('EUR'), await cartWith({ A: 1 })];
    expect(await merge(from, into)).toMatchObject({ __typename: 'CartPayload', cart: { itemCount: 1 } });
    expect((await shop.cart(from))?.status).toBe('MERGED');
  });

  test('is seen live at both carts: at every moment, each line is shown somewhere', async () => {
    const [from, into] = [await cartWith({ A: 2, B: 3 }), await cartWith({ C: 1 })];
    const [leaving, taking] = [from, into].map((id) => watch<Watched>(client, { query: WATCH, variables: { id } }));
    if (leaving === undefined || taking === undefined) throw new Error('Nobody watches.');
    await eventually(() => expect([leaving, taking].map(({ results }) => results.length)).toEqual([1, 1]));
    await merge(from, into);
    const changes = ({ results }: typeof leaving) => results.flatMap(({ data }) => data?.cartChanged ?? []);
    await eventually(() => {
      expect(changes(leaving).at(-1)?.cart.status).toBe('MERGED');
      expect(changes(taking).at(-1)?.cart.itemCount).toBe(6);
    });
    const types = (watching: typeof leaving) =>
      changes(watching).flatMap(({ events }) => events.map(({ type }) => type));
    expect(types(leaving)).toEqual(['CartLinesHandedOver', 'CartMerged']);
    expect(types(taking)).toEqual(['CartMergeRequested', 'CartLinesTakenIn']);
    expect(changes(leaving).at(-1)?.cart.mergedInto?.id).toBe(into);
    for (const { cart } of changes(leaving)) expect(cart.itemCount).toBe(cart.status === 'MERGED' ? 0 : 5);
    for (const { cart } of changes(taking)) expect([1, 6]).toContain(cart.itemCount);
    for (const it of [leaving, taking]) it.stop();
  });

  describe('with the same commandId', () => {
    test('again gives the same answer again', async () => {
      const [from, into] = [await cartWith({ A: 2 }), await cartWith({ B: 1 })];
      const input = { commandId: randomUUID() };
      const first = await merge(from, into, input);
      expect(first.receipt?.replayed).toBe(false);
      for (let time = 0; time < 2; time += 1) {
        expect(await merge(from, into, input)).toEqual({ ...first, receipt: { ...first.receipt, replayed: true } });
      }
      expect((await merge(into, from, input)).__typename).toBe('CommandIdReused');
      expect(contents(await shop.cart(into))).toEqual({ A: 2, B: 1 });
    });

    test('twice at once is one merge, and both are told its outcome', async () => {
      const [from, into] = [await cartWith({ A: 2 }), await cartWith({ B: 1 })];
      const input = { commandId: randomUUID() };
      const others = [new Shop(server.url), new Shop(server.url)];
      const outcomes = await Promise.all([shop, ...others].map((by) => merge(from, into, input, by)));
      expect(outcomes.map(({ __typename, cart }) => [__typename, cart?.itemCount])).toEqual(
        outcomes.map(() => ['CartPayload', 3]),
      );
      expect(outcomes.filter(({ receipt }) => receipt?.replayed === false)).toHaveLength(1);
      const told = outcomes.map(({ receipt }) => ({ ...receipt, replayed: false, correlationId: null }));
      expect(new Set(told.map((it) => JSON.stringify(it))).size).toBe(1);
      expect(contents(await shop.cart(into))).toEqual({ A: 2, B: 1 });
    });

    test('once more while it runs waits for the same outcome', async () => {
      const [from, into] = [await cartWith({ A: 2 }), await cartWith({ B: 1 })];
      const commandId = randomUUID();
      const fault = await plantFault(
        server.database,
        'events',
        `NEW.type = 'CartLinesHandedOver' AND NEW.aggregate_id = '${rawId(from)}'`,
      );
      const first = merge(from, into, { commandId });
      await shop.untilStatus(commandId, 'RUNNING');
      const second = merge(from, into, { commandId });
      expect(await shop.schedule('mergeCarts', { commandId, fromCartId: from, intoCartId: into })).toMatchObject({
        __typename: 'CommandAccepted',
        receipt: { status: 'RUNNING', replayed: true },
      });
      await fault.mend();
      await eventually(async () => {
        await skipPauses(server);
        expect((await shop.command(commandId))?.status).toBe('SUCCEEDED');
      });
      const done = { __typename: 'CartPayload', cart: { itemCount: 3 } };
      expect(await first).toMatchObject({ ...done, receipt: { replayed: false } });
      expect(await second).toMatchObject({ ...done, receipt: { replayed: true } });
    });
  });

  describe('is refused', () => {
    /** It is kept as the outcome: the same again is told the same. */
    async function expectRefusal(fromCartId: string, intoCartId: string, refusal: object): Promise<void> {
      const input = { commandId: randomUUID() };
      expect(await merge(fromCartId, intoCartId, input)).toMatchObject({
        ...refusal,
        receipt: { status: 'REJECTED', replayed: false },
      });
      expect(await merge(fromCartId, intoCartId, input)).toMatchObject({
        ...refusal,
        receipt: { status: 'REJECTED', replayed: true },
      });
    }

    test('where there is no such cart, whichever it is', async () => {
      const there = await cartWith({ A: 1 });
      for (const missing of [unknownCartId(), unknownCartId()]) {
        await expectRefusal(missing, there, { __typename: 'NotFound', id: missing });
        await expectRefusal(there, missing, { __typename: 'NotFound', id: missing });
      }
      expect(await shop.cart(there)).toMatchObject({ status: 'OPEN', itemCount: 1 });
    });

    test('where one of them is merged already', async () => {
      const [gone, into, other] = [await cartWith({ A: 1 }), await cartWith({ B: 1 }), await cartWith({ C: 1 })];
      await merge(gone, into);
      await expectRefusal(gone, other, { __typename: 'IllegalState', state: 'MERGED' });
      await expectRefusal(other, gone, { __typename: 'IllegalState', state: 'MERGED' });
      expect(contents(await shop.cart(other))).toEqual({ C: 1 });
      expect((await shop.cart(other))?.status).toBe('OPEN');
    });

    test('where a line would have more than 10,000 pieces: then all lines are back', async () => {
      const [from, into] = [await cartWith({ A: 1, B: 6_000 }), await cartWith({ B: 4_001 })];
      const { version = 0 } = (await shop.cart(from)) ?? {};
      await expectRefusal(from, into, { __typename: 'LimitExceeded', limit: 10_000 });
      expect(contents(await shop.cart(into))).toEqual({ B: 4_001 });
      await eventually(async () =>
        expect(await shop.cart(from)).toMatchObject({ status: 'OPEN', version: version + 2 }),
      );
      expect(contents(await shop.cart(from))).toEqual({ A: 1, B: 6_000 });
      expect((await shop.addItem(from, 'C', 1)).__typename).toBe('CartPayload');
      await shop.run('changeItemQuantity', { cartId: into, sku: 'B', quantity: 1 });
      expect(await merge(from, into)).toMatchObject({ cart: { itemCount: 6_003 } });
    });

    // So many products take an embedded store several seconds, and the limit is the same on every engine.
    const servers = kind.engine === 'pglite' ? [] : [kind.engine];
    test.each(servers)('where there would be more than 500 lines, on %s', async () => {
      const skus = Array.from({ length: 501 }, (_, at) => `L${at}`);
      await Promise.all(skus.map((sku) => shop.addProduct(sku)));
      const [from, into] = [await shop.newCart(), await shop.newCart()];
      // Without asking for the cart each time, which grows.
      const add = 'mutation Add($input: AddItemToCartInput!) { addItemToCart(input: $input) { __typename } }';
      const inputs = skus.map((sku, at) => ({ cartId: at < 251 ? from : into, sku, quantity: 1 }));
      await Promise.all(inputs.map((input) => shop.read(add, { input })));
      await expectRefusal(from, into, { __typename: 'LimitExceeded', limit: 500 });
      await shop.run('removeItemFromCart', { cartId: from, sku: 'L0' });
      expect((await merge(from, into)).cart?.lines).toHaveLength(500);
    });

    test('where the currencies differ', async () => {
      const [from, into] = [await cartWith({ E: 1 }, 'EUR'), await cartWith({ A: 1 })];
      await expectRefusal(from, into, { __typename: 'CurrencyMismatch', expected: 'GBP', actual: 'EUR' });
      expect(contents(await shop.cart(from))).toEqual({ E: 1 });
      expect((await shop.cart(from))?.status).toBe('OPEN');
    });

    test('where the cart has moved on, with what happened; the same may be sent again', async () => {
      const [from, into] = [await cartWith({ A: 1 }), await cartWith({ B: 1, C: 1 })];
      const input = { commandId: randomUUID(), expectedVersion: 2 };
      expect(await merge(from, into, input)).toMatchObject({
        __typename: 'VersionConflict',
        expectedVersion: 2,
        actualVersion: 3,
        eventsSince: [{ type: 'ItemAddedToCart', version: 3 }],
        receipt: null,
      });
      expect(await shop.command(input.commandId)).toBeNull();
      const mended = await merge(from, into, { ...input, expectedVersion: 3 });
      expect(mended).toMatchObject({ __typename: 'CartPayload', receipt: { replayed: false } });
    });

    test.each([
      ['the same cart twice', (cartId: string) => [cartId, cartId], ['fromCartId']],
      ['what is no cart, from', (cartId: string) => ['nope', cartId], ['fromCartId']],
      ['what is no cart, into', (cartId: string) => [cartId, 'nope'], ['intoCartId']],
      [
        'what is something else, into',
        (cartId: string) => [cartId, Buffer.from(`Product:${rawId(cartId)}`).toString('base64url')],
        ['intoCartId'],
      ],
    ])('with %s', async (_, cartsOf, path) => {
      const cartId = await cartWith({ A: 1 });
      const [from = '', into = ''] = cartsOf(cartId);
      const input = { commandId: randomUUID() };
      const invalid = { __typename: 'ValidationFailed', fields: [{ path }], receipt: null };
      expect(await merge(from, into, input)).toMatchObject(invalid);
      const scheduled = { ...input, fromCartId: from, intoCartId: into };
      expect(await shop.schedule('mergeCarts', scheduled)).toMatchObject(invalid);
      expect(await shop.command(input.commandId)).toBeNull();
      expect((await shop.cart(cartId))?.version).toBe(2);
    });
  });

  describe('Many merges at once', () => {
    /** Waits until no merge is under way in any of these carts. @returns them */
    async function settled(ids: readonly string[]): Promise<Cart[]> {
      return eventually(async () => {
        const carts = await Promise.all(ids.map((id) => shop.cart(id)));
        expect(carts.map((cart) => cart?.status)).not.toContain('MERGING');
        return carts.filter((cart) => cart !== null);
      });
    }

    /** Every piece is in exactly one cart. */
    function expectPieces(carts: readonly Cart[], pieces: Readonly<Record<string, number>>): void {
      const found: Record<string, number> = {};
      for (const { sku, quantity } of carts.flatMap(({ lines }) => lines)) found[sku] = (found[sku] ?? 0) + quantity;
      expect(found).toEqual(pieces);
      for (const { status, lines } of carts) if (status === 'MERGED') expect(lines).toEqual([]);
    }

    const FINAL = ['CartPayload', 'IllegalState'];

    test('in a chain leave every line in one cart', async () => {
      for (let round = 0; round < 5; round += 1) {
        const carts = [await cartWith({ A: 1 }), await cartWith({ B: 2 }), await cartWith({ C: 3 })];
        const [a = '', b = '', c = ''] = carts;
        const outcomes = await Promise.all([merge(a, b), merge(b, c)]);
        for (const { __typename } of outcomes) expect(FINAL).toContain(__typename);
        const after = await settled(carts);
        expectPieces(after, { A: 1, B: 2, C: 3 });
        const [ofA, ofB] = outcomes.map(({ __typename }) => (__typename === 'CartPayload' ? 'MERGED' : 'OPEN'));
        expect(after.map(({ status }) => status)).toEqual([ofA, ofB, 'OPEN']);
      }
    });

    test('crossing each other leave every line in one cart', async () => {
      for (let round = 0; round < 5; round += 1) {
        const [a, b] = [await cartWith({ A: 1, B: 1 }), await cartWith({ B: 2 })];
        const outcomes = await Promise.all([merge(a, b), merge(b, a)]);
        for (const { __typename } of outcomes) expect(FINAL).toContain(__typename);
        const after = await settled([a, b]);
        expectPieces(after, { A: 1, B: 3 });
        const [ofA, ofB] = outcomes.map(({ __typename }) => (__typename === 'CartPayload' ? 'MERGED' : 'OPEN'));
        expect(after.map(({ status }) => status)).toEqual([ofA, ofB]);
        expect([ofA, ofB]).toContain('OPEN');
      }
    });

    test('into one cart, while shoppers change it, lose nothing', async () => {
      const into = await cartWith({ D: 1 });
      const sources = await Promise.all(Array.from({ length: 8 }, () => cartWith({ A: 1, B: 2 })));
      const outcomes = await Promise.all([
        ...sources.map((from) => merge(from, into)),
        ...sources.map(() => shop.addItem(into, 'D', 1)),
      ]);
      expect(outcomes.map(({ __typename }) => __typename)).toEqual(outcomes.map(() => 'CartPayload'));
      expectPieces(await settled([into, ...sources]), { A: 8, B: 16, D: 9 });
    });

    test('of one cart into several move it once', async () => {
      const from = await cartWith({ A: 5 });
      const targets = await Promise.all(Array.from({ length: 4 }, () => shop.newCart()));
      const outcomes = await Promise.all(targets.map((into) => merge(from, into)));
      expect(outcomes.map(({ __typename }) => __typename).sort()).toEqual([
        'CartPayload',
        ...Array(3).fill('IllegalState'),
      ]);
      expectPieces(await settled([from, ...targets]), { A: 5 });
    });
  });

  test('is shown step by step as a process', async () => {
    const steps = async (from: string, into: string) => {
      const correlationId = randomUUID();
      await merge(from, into, {}, new Operator(server.url, undefined, correlationId));
      return eventually(async () => {
        const [merging] = (await shop.processes(correlationId)).filter((it) => it.process === 'merging-carts');
        expect(merging).toMatchObject({ correlationId, finishedAt: expect.any(String) });
        return [merging?.status, ...(merging?.steps ?? []).map(({ name, status }) => `${name} ${status}`)];
      });
    };
    expect(await steps(await cartWith({ A: 1 }), await cartWith({ B: 1 }))).toEqual([
      'COMPLETED',
      'hand over WAITING',
      'hand over DONE',
      'take in DONE',
      'complete DONE',
    ]);
    expect(await steps(await cartWith({ A: 1 }), await shop.newCart('EUR'))).toEqual([
      'COMPENSATED',
      'hand over WAITING',
      'hand over DONE',
      'take in FAILED',
      'hand over UNDONE',
    ]);
    expect(await steps(unknownCartId(), await cartWith({ B: 1 }))).toEqual([
      'COMPENSATED',
      'hand over WAITING',
      'hand over FAILED',
    ]);
  });

  test('is done later, and followed from the queue to its end', async () => {
    const [from, into] = [await cartWith({ A: 2 }), await cartWith({ B: 1 })];
    const dueAt = inMs(300);
    const commandId = await shop.queue('mergeCarts', { fromCartId: from, intoCartId: into }, { dueAt });
    const watching = shop.follow(client, commandId);
    await watching.ended;
    const seen = watching.results.flatMap(({ data }) => data?.commandChanged ?? []);
    const statuses = seen.map(({ status }) => status);
    expect([statuses.at(0), statuses.at(-1)]).toEqual(['QUEUED', 'SUCCEEDED']);
    expect(new Set(statuses)).toEqual(new Set(['QUEUED', 'RUNNING', 'SUCCEEDED']));
    expect((seen.at(-1)?.events[0]?.recordedAt ?? '') >= dueAt).toBe(true);
    expect(contents(await shop.cart(into))).toEqual({ A: 2, B: 1 });

    const lonely = await cartWith({ A: 1 });
    const refused = await shop.queue('mergeCarts', { fromCartId: unknownCartId(), intoCartId: lonely });
    expect(await shop.untilStatus(refused, 'REJECTED')).toMatchObject({ rejection: { code: 'NOT_FOUND' } });
  });

  test('that takes long is answered as running, and with its outcome when that is asked again', async () => {
    const own = await kind.create();
    const impatient = await startLocalServer(own, { readWaitMs: 300 });
    try {
      const by = new Operator(impatient.url);
      await by.addProduct('A');
      const [from, into] = [await by.newCart(), await by.newCart()];
      await by.addItem(from, 'A', 2);
      const fault = await plantFault(impatient.database, 'events', `NEW.type = 'CartLinesTakenIn'`);
      const input = { commandId: randomUUID() };
      const running = { __typename: 'CommandAccepted', receipt: { status: 'RUNNING', version: 2 } };
      expect(await merge(from, into, input, by)).toMatchObject(running);
      expect(await merge(from, into, input, by)).toMatchObject(running);
      expect(await by.cart(from)).toMatchObject({ status: 'MERGING', itemCount: 2 });
      expect(await by.addItem(from, 'A', 1)).toMatchObject({ __typename: 'IllegalState', state: 'MERGING' });
      expect(await by.addItem(into, 'A', 1)).toMatchObject({ __typename: 'CartPayload' });
      await fault.mend();
      await eventually(async () => {
        await skipPauses(impatient);
        expect((await by.command(input.commandId))?.status).toBe('SUCCEEDED');
      });
      expect(await merge(from, into, input, by)).toMatchObject({
        __typename: 'CartPayload',
        cart: { itemCount: 3 },
        receipt: { status: 'SUCCEEDED', replayed: true },
      });
    } finally {
      await impatient.stop();
      await own.remove();
    }
  });
});

const SECRET = 'a secret of at least thirty-two bytes';

describeEachStore('With AUTH_MODE=jwt, merging carts', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let guest: Shop;
  let carla: Shop;
  let bob: Shop;
  let staff: Shop;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: SECRET });
    guest = new Shop(server.url);
    carla = new Shop(server.url, await issueToken(SECRET, 'customer', 'carla', 3_600));
    bob = new Shop(server.url, await issueToken(SECRET, 'customer', 'bob', 3_600));
    staff = new Shop(server.url, await issueToken(SECRET, 'staff', 'anna', 3_600));
    for (const sku of ['A', 'B']) await staff.addProduct(sku);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  async function cartOf(owner: Shop, sku: string): Promise<string> {
    const cartId = await owner.newCart();
    await owner.addItem(cartId, sku, 2);
    return cartId;
  }
  const merge = (by: Shop, fromCartId: string, intoCartId: string) => by.run('mergeCarts', { fromCartId, intoCartId });
  const NODE = 'query Cart($id: ID!) { cart(id: $id) { status mergedInto { id } } }';

  test("a guest who signs in goes on with one cart, which is the customer's", async () => {
    const [from, into] = [await cartOf(guest, 'A'), await cartOf(carla, 'B')];
    expect(await merge(carla, from, into)).toMatchObject({ __typename: 'CartPayload', cart: { itemCount: 4 } });
    expect(await carla.read(NODE, { id: from })).toEqual({ cart: { status: 'MERGED', mergedInto: { id: into } } });
    // Where the lines went is the customer's alone to know.
    expect(await guest.read(NODE, { id: from })).toEqual({ cart: { status: 'MERGED', mergedInto: null } });
    expect(await guest.cart(into)).toBeNull();
  });

  test.each([
    ['a guest', () => guest],
    ['another customer', () => bob],
  ])("takes nothing out of a customer's cart for %s, and puts nothing in", async (_, whoOf) => {
    const who = whoOf();
    const [theirs, hers] = [await cartOf(who, 'A'), await cartOf(carla, 'B')];
    expect(await merge(who, hers, theirs)).toMatchObject({ __typename: 'NotFound', id: hers });
    expect(await merge(who, theirs, hers)).toMatchObject({ __typename: 'NotFound', id: hers });
    expect(await carla.cart(hers)).toMatchObject({ status: 'OPEN', itemCount: 2, version: 2 });
    expect(await who.cart(theirs)).toMatchObject({ status: 'OPEN', itemCount: 2 });
  });

  test('by staff moves what belongs to others', async () => {
    const [from, into] = [await cartOf(carla, 'A'), await cartOf(bob, 'B')];
    expect(await merge(staff, from, into)).toMatchObject({ __typename: 'CartPayload', cart: { itemCount: 4 } });
    expect(await carla.read(NODE, { id: from })).toEqual({ cart: { status: 'MERGED', mergedInto: null } });
    expect(await bob.cart(into)).toMatchObject({ itemCount: 4 });
  });
});
