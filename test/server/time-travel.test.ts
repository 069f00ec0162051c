import { randomBytes, randomUUID } from 'node:crypto';
import { gql, InMemoryCache } from '@apollo/client';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { issueToken } from '../../src/server/authentication.ts';
import { applied } from '../support/apply-differences.ts';
import { eventually, inMs, Operator, rawId } from '../support/operator.ts';
import { cartAsOf, diff, productAsOf, QUERIES, refusal } from '../support/past.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { type Cart, type Input, Shop, unknownCartId } from '../support/shop.ts';
import { socketClient, watch } from '../support/sockets.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const secret = randomBytes(32).toString('hex');

describeEachStore('The past', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let staff: Operator;
  let carla: Operator;
  let bob: Shop;
  let nobody: Shop;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: secret });
    const as = (role: 'staff' | 'customer', id: string) => issueToken(secret, role, id, 600);
    staff = new Operator(server.url, await as('staff', 'sam'));
    carla = new Operator(server.url, await as('customer', 'carla'));
    bob = new Shop(server.url, await as('customer', 'bob'));
    nobody = new Shop(server.url);
    for (const [at, sku] of ['A', 'B', 'C'].entries()) await staff.addProduct(sku, { price: 100 + at });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  const has = (cart: Cart | null | undefined) =>
    (cart?.lines ?? []).map(({ sku, quantity }) => `${sku}${quantity}`).join(' ');
  /** A cart of Carla's that was changed five times, as it was after each. */
  async function changedFiveTimes(): Promise<{ id: string; states: (Cart | undefined)[] }> {
    const { cart } = await carla.run('createCart', {});
    const cartId = cart?.id ?? '';
    const changes: [string, Input][] = [
      ['addItemToCart', { sku: 'A', quantity: 2 }],
      ['addItemToCart', { sku: 'B', quantity: 1 }],
      ['changeItemQuantity', { sku: 'A', quantity: 5 }],
      ['removeItemFromCart', { sku: 'B' }],
      ['addItemToCart', { sku: 'C', quantity: 3 }],
    ];
    const states = [cart];
    for (const [field, input] of changes) states.push((await carla.run(field, { cartId, ...input })).cart);
    return { id: cartId, states };
  }
  const restore = (by: Shop, cartId: string, toVersion: number, rest: Input = {}) =>
    by.run('restoreCart', { cartId, toVersion, ...rest });
  const undo = (by: Shop, cartId: string, rest: Input = {}) => by.run('undoCartChange', { cartId, ...rest });

  describe('of a cart', () => {
    test('is what was shown then, at each version, under an id of its own', async () => {
      const { id, states } = await changedFiveTimes();
      const ids = new Set([id]);
      for (const [at, then] of states.entries()) {
        const past = await cartAsOf(carla, id, { version: at + 1 });
        expect(past).toMatchObject({ ...then, id: expect.any(String), lines: then?.lines ?? [] });
        const again = (await carla.read<{ node: object }>(QUERIES.node, { id: past?.id })).node;
        expect(again).toEqual(past);
        for (const { id: line } of past?.lines ?? []) ids.add(line);
        ids.add(past?.id ?? '');
      }
      // As many as there are carts and lines at all points: none is that of another point.
      expect(ids.size).toBe(1 + states.length + states.reduce((sum, it) => sum + (it?.lines.length ?? 0), 0));
    });

    test('is the same at every instant until it changes, and has the same id', async () => {
      const { id } = await changedFiveTimes();
      const { events } = await staff.read<{ events: { nodes: { recordedAt: string }[] } }>(
        'query Events($filter: EventFilter) { events(first: 10, filter: $filter) { nodes { recordedAt } } }',
        { filter: { aggregateType: 'cart', aggregateId: id } },
      );
      expect(events.nodes).toHaveLength(6);
      for (const { recordedAt } of events.nodes) {
        const past = await cartAsOf(carla, id, { at: recordedAt });
        expect(past).toEqual(await cartAsOf(carla, id, { version: past?.version ?? 0 }));
      }
      const now = await cartAsOf(carla, id, { at: '2999-12-31T23:59:59Z' });
      expect(now).toEqual(await cartAsOf(carla, id, { version: 6 }));
      // From a point to another by the id of the one.
      expect(await cartAsOf(carla, now?.id ?? '', { version: 2 })).toMatchObject({ version: 2 });
      expect(await cartAsOf(carla, id, { at: '2000-01-01T00:00:00Z' })).toBeNull();
    });

    test('is nothing before it was there, and at versions that there are not', async () => {
      const { id } = await changedFiveTimes();
      for (const version of [0, 7, 2 ** 31 - 1]) expect(await cartAsOf(carla, id, { version })).toBeNull();
      expect(await cartAsOf(carla, unknownCartId(), { version: 1 })).toBeNull();
      for (const asOf of [{}, { version: null }, { version: 1, at: '2030-01-01T00:00:00Z' }, { version: -1 }]) {
        expect(await refusal(carla, QUERIES.cartAsOf, { id, asOf })).toMatchObject({ code: 'BAD_USER_INPUT' });
      }
      expect(await refusal(carla, QUERIES.cartAsOf, { id: 'nonsense', asOf: { version: 1 } })).toMatchObject({
        code: 'BAD_USER_INPUT',
      });
    });

    test('is for whoever the cart is for', async () => {
      const { id } = await changedFiveTimes();
      const past = await cartAsOf(carla, id, { version: 2 });
      expect(await cartAsOf(staff, id, { version: 2 })).toEqual(past);
      for (const other of [bob, nobody]) {
        expect(await cartAsOf(other, id, { version: 2 })).toBeNull();
        expect((await other.read<{ node: object | null }>(QUERIES.node, { id: past?.id })).node).toBeNull();
      }
    });

    test('has ids that this API gave, and no others', async () => {
      const { id } = await changedFiveTimes();
      const past = await cartAsOf(carla, id, { version: 2 });
      const position = Number(past?.position.split('.')[1]);
      const forged = (typename: string, raw = rawId(id)) => Buffer.from(`${typename}:${raw}`).toString('base64url');
      expect(forged(`Cart@${position}`)).toBe(past?.id);
      for (const typename of ['Cart@0', 'Cart@1', `Cart@${position + 500_000}`, 'Cart@999999999999999']) {
        expect((await carla.read<{ node: object | null }>(QUERIES.node, { id: forged(typename) })).node).toBeNull();
      }
      // Types that have no past.
      for (const typename of [
        'Customer',
        'Command',
        'Notification',
        'ProcessInstance',
        'DeadLetter',
        'Payment',
        'Shipment',
      ]) {
        const asked = { id: forged(`${typename}@${position}`) };
        expect((await staff.read<{ node: object | null }>(QUERIES.node, asked)).node).toBeNull();
      }
      for (const typename of ['Cart@', 'Cart@-1', 'Cart@1.5', 'Cart@9999999999999999', '@1']) {
        expect(await refusal(carla, QUERIES.node, { id: forged(typename) })).toMatchObject({ code: 'BAD_USER_INPUT' });
      }
    });

    test('cannot be changed or watched: whoever tries is told what to send', async () => {
      const { id } = await changedFiveTimes();
      const past = (await cartAsOf(carla, id, { version: 2 }))?.id ?? '';
      const expected = [
        expect.objectContaining({ message: expect.stringContaining('send the id of the Cart itself') }),
      ];
      for (const [field, input] of [
        ['addItemToCart', { cartId: past, sku: 'A', quantity: 1 }],
        ['restoreCart', { cartId: past, toVersion: 1 }],
        ['undoCartChange', { cartId: past }],
        ['mergeCarts', { fromCartId: past, intoCartId: id }],
      ] as const) {
        const { __typename, fields } = await carla.run(field, input);
        expect({ field, __typename, fields }).toEqual({ field, __typename: 'ValidationFailed', fields: expected });
      }
      expect(await refusal(carla, `query Cart($id: ID!) { cart(id: $id) { id } }`, { id: past })).toMatchObject({
        code: 'BAD_USER_INPUT',
        message: expect.stringContaining('send the id of the Cart itself'),
      });
      const client = socketClient(server.webSocketUrl);
      const watching = watch(client, {
        query: 'subscription Watch($id: ID!) { cartChanged(id: $id) { position } }',
        variables: { id: past },
      });
      await watching.ended;
      expect(JSON.stringify([watching.error, watching.results])).toContain('send the id of the Cart itself');
      await client.dispose();
    });

    test('stays apart from the present in a client’s cache', async () => {
      const { id } = await changedFiveTimes();
      const cache = new InMemoryCache();
      const present = gql`query Present($id: ID!) { cart(id: $id) { __typename id version lines { __typename id quantity } } }`;
      const earlier = gql`query Earlier($id: ID!) {
        cartAsOf(id: $id, asOf: { version: 2 }) { __typename id version lines { __typename id quantity } } }`;
      const ask = async (query: typeof present) => {
        const source = query.loc?.source.body ?? '';
        const data = await carla.read<Record<string, unknown>>(source, { id });
        cache.writeQuery({ query, variables: { id }, data });
        return data;
      };
      const now = await ask(present);
      const then = await ask(earlier);
      expect(cache.readQuery({ query: present, variables: { id } })).toEqual(now);
      expect(cache.readQuery({ query: earlier, variables: { id } })).toEqual(then);
      const carts = Object.keys(cache.extract()).filter((key) => key.startsWith('Cart:'));
      expect(carts).toHaveLength(2);
    });

    test('holds the cart that it went into, as of then', async () => {
      const from = await carla.newCart();
      const into = await carla.newCart();
      await carla.addItem(from, 'A', 2);
      expect(await carla.run('mergeCarts', { fromCartId: from, intoCartId: into })).toMatchObject({
        cart: { itemCount: 2 },
      });
      const { version = 0 } =
        (await eventually(async () => {
          const merged = await carla.cart(from);
          expect(merged?.status).toBe('MERGED');
          return merged;
        })) ?? {};
      await carla.addItem(into, 'B', 1);
      const past = await cartAsOf(carla, from, { version });
      expect(past).toMatchObject({ status: 'MERGED', mergedInto: { itemCount: 2 } });
      expect(past?.mergedInto?.id).not.toBe(into);
      expect(await cartAsOf(carla, from, { version: 2 })).toMatchObject({ mergedInto: null, itemCount: 2 });
    });
  });

  test('of a cart, whatever is done to it: what was shown then, what restoring gives, and what differs', async () => {
    const sku = fc.constantFrom('A', 'B', 'C');
    const quantity = fc.integer({ min: 1, max: 5 });
    const step = fc.oneof(
      fc.record({ field: fc.constant('addItemToCart'), input: fc.record({ sku, quantity }) }),
      fc.record({ field: fc.constant('changeItemQuantity'), input: fc.record({ sku, quantity }) }),
      fc.record({ field: fc.constant('removeItemFromCart'), input: fc.record({ sku }) }),
      fc.record({ field: fc.constant('undoCartChange'), input: fc.constant({}) }),
      fc.record({ field: fc.constant('restoreCart'), input: fc.record({ toVersion: quantity }) }),
    );
    const property = fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 12 }), fc.nat(), async (steps, at) => {
      const { cart } = await carla.run('createCart', {});
      const cartId = cart?.id ?? '';
      // Of a command with several events, those between have no picture.
      const pictures = new Map<number, Cart>();
      for (const { field, input } of steps) {
        const { cart: now } = await carla.run(field, { cartId, ...input });
        if (now !== undefined) pictures.set(now.version, now);
      }
      for (const [version, picture] of pictures) {
        expect(await cartAsOf(carla, cartId, { version })).toMatchObject({ ...picture, id: expect.any(String) });
      }
      const newest = (await carla.cart(cartId))?.version ?? 0;
      const version = 1 + (at % newest);
      const then = await cartAsOf(carla, cartId, { version });
      const aggregate = { aggregateType: 'cart', aggregateId: cartId };
      const whole = async (asOf: number) =>
        applied(null, await diff(staff, { ...aggregate, from: { version: 0 }, to: { version: asOf } }));
      const between = await diff(staff, { ...aggregate, from: { version }, to: { version: newest } });
      expect(applied(await whole(version), between)).toEqual(await whole(newest));
      const { cart: restored } = await restore(carla, cartId, version);
      expect(restored?.lines).toMatchObject(then?.lines.map(({ id: _, ...line }) => line) ?? []);
      expect(has(restored)).toBe(has(then));
    });
    await fc.assert(property, { numRuns: 5 });
  });

  test('of a product holds its price and its stock of then, for everybody', async () => {
    const sku = `P-${randomUUID().slice(0, 8)}`;
    const first = (await staff.addProduct(sku, { price: 100, stock: 5 })).product;
    await staff.run('adjustStock', { sku, delta: 3, reason: 'found' });
    const repriced = (await staff.run('changeProductPrice', { sku, price: { amountMinor: 150, currency: 'GBP' } }))
      .product;
    await staff.run('adjustStock', { sku, delta: -1, reason: 'lost' });
    // As of the event of that version: the stock of the same append came after it.
    expect(await productAsOf(nobody, sku, { version: 1 })).toMatchObject({ price: { amountMinor: 100 }, available: 0 });
    const past = await productAsOf(nobody, sku, { version: 2 });
    expect(past).toEqual({ ...repriced, id: past?.id, available: 8, stockVersion: 2 });
    expect(past?.id).not.toBe(first?.id);
    const now = await productAsOf(nobody, sku, { at: '2999-01-01T00:00:00Z' });
    expect(now).toMatchObject({ available: 7, price: { amountMinor: 150 }, stockVersion: 3 });
    const node = await nobody.read<{ node: object }>(
      'query Node($id: ID!) { node(id: $id) { id ... on Product { available } } }',
      {
        id: past?.id,
      },
    );
    expect(node.node).toEqual({ id: past?.id, available: 8 });
    for (const odd of ['no-such', '', 'nul \u0000', 'x'.repeat(10_000)]) {
      expect(await productAsOf(nobody, odd, { version: 1 })).toBeNull();
    }
  });

  describe('comes back by restoring a cart', () => {
    test('with the prices of now where it has to be put in anew', async () => {
      const { id, states } = await changedFiveTimes();
      await staff.run('changeProductPrice', { sku: 'B', price: { amountMinor: 999, currency: 'GBP' } });
      const { cart, receipt } = await restore(carla, id, 3);
      await staff.run('changeProductPrice', { sku: 'B', price: { amountMinor: 101, currency: 'GBP' } });
      const lines = states[2]?.lines.map(({ sku, quantity }) => ({ sku, quantity }));
      expect(cart).toMatchObject({ id, status: 'OPEN', lines, total: { amountMinor: 2 * 100 + 999 } });
      expect(receipt).toMatchObject({ version: cart?.version });
      // What was so is so still.
      expect(has(await cartAsOf(carla, id, { version: 6 }))).toBe('A5 C3');
    });

    test('once, however often it is sent', async () => {
      const { id } = await changedFiveTimes();
      const commandId = randomUUID();
      const first = await restore(carla, id, 2, { commandId });
      await carla.addItem(id, 'B', 7);
      const second = await restore(carla, id, 2, { commandId });
      expect(second).toMatchObject({
        receipt: { version: first.receipt?.version, replayed: true },
        cart: { itemCount: 9 },
      });
      expect(await restore(carla, id, 3, { commandId })).toMatchObject({ __typename: 'CommandIdReused' });
    });

    test('from versions that there were, and for whom the cart is', async () => {
      const { id } = await changedFiveTimes();
      for (const toVersion of [0, -1, 7, 2 ** 31 - 1]) {
        const { __typename, fields } = await restore(carla, id, toVersion);
        expect(__typename).toBe('ValidationFailed');
        expect(fields?.map(({ path }) => path)).toEqual([['toVersion']]);
      }
      // Also where it would only be tried later.
      const late = await carla.ask<{ restoreCart: object }>(
        'mutation Late($input: RestoreCartInput!) { restoreCart(input: $input, schedule: {}) { __typename } }',
        { input: { cartId: id, toVersion: 7 } },
      );
      expect(late.data?.restoreCart).toEqual({ __typename: 'ValidationFailed' });
      for (const other of [bob, nobody]) {
        expect(await restore(other, id, 2)).toMatchObject({ __typename: 'NotFound', id });
        expect(await restore(other, id, 99)).toMatchObject({ __typename: 'NotFound', id });
      }
      const unknown = unknownCartId();
      expect(await restore(carla, unknown, 1)).toMatchObject({ __typename: 'NotFound', id: unknown });
      expect(await restore(carla, 'nonsense', 1)).toMatchObject({
        __typename: 'ValidationFailed',
        fields: [{ path: ['cartId'] }],
      });
      expect(await restore(carla, id, 2, { expectedVersion: 5 })).toMatchObject({
        __typename: 'VersionConflict',
        expectedVersion: 5,
        actualVersion: 6,
        eventsSince: [{ type: 'ItemAddedToCart' }],
      });
      expect(has(await carla.cart(id))).toBe('A5 C3');
    });

    test('or not at all, where there is too little of something', async () => {
      const sku = `S-${randomUUID().slice(0, 8)}`;
      await staff.addProduct(sku, { stock: 3 });
      const id = await carla.newCart();
      await carla.addItem(id, 'A', 1);
      await carla.addItem(id, sku, 3);
      await carla.run('clearCart', { cartId: id });
      await staff.run('adjustStock', { sku, delta: -1, reason: 'lost' });
      expect(await restore(carla, id, 3)).toMatchObject({
        __typename: 'InsufficientStock',
        sku,
        requested: 3,
        available: 2,
      });
      expect(await undo(carla, id)).toMatchObject({ __typename: 'InsufficientStock' });
      expect((await carla.cart(id))?.version).toBe(4);
      await staff.run('deactivateProduct', { sku });
      expect(await restore(carla, id, 3)).toMatchObject({ __typename: 'IllegalState', state: 'INACTIVE' });
    });

    test('later, decided on the same past, whatever came between', async () => {
      const { id } = await changedFiveTimes();
      const commandId = await carla.queue('restoreCart', { cartId: id, toVersion: 2 }, { dueAt: inMs(1_000) });
      await carla.run('clearCart', { cartId: id });
      await carla.addItem(id, 'B', 7);
      await staff.untilStatus(commandId, 'SUCCEEDED');
      expect(has(await carla.cart(id))).toBe('A2');
    });
  });

  describe('comes back by undoing', () => {
    test('change by change', async () => {
      const { id } = await changedFiveTimes();
      for (const expected of ['A5', 'A5 B1', 'A2 B1', 'A2', '']) {
        const { cart } = await undo(carla, id);
        expect(has(cart)).toBe(expected);
      }
      expect(await undo(carla, id)).toMatchObject({ __typename: 'IllegalState', state: 'NOTHING_TO_UNDO' });
    });

    test('of one’s own changes alone, at the version that one has seen', async () => {
      const { id } = await changedFiveTimes();
      await staff.addItem(id, 'B', 1);
      expect(await undo(carla, id)).toMatchObject({
        __typename: 'IllegalState',
        state: 'NOT_YOURS',
        message: expect.stringMatching(/STAFF.*restoreCart/),
      });
      expect(await undo(staff, id, { expectedVersion: 6 })).toMatchObject({
        __typename: 'VersionConflict',
        actualVersion: 7,
      });
      expect(await undo(staff, id, { expectedVersion: 8 })).toMatchObject({
        __typename: 'VersionConflict',
        expectedVersion: 8,
        actualVersion: 7,
        eventsSince: [],
      });
      expect(await undo(staff, id, { expectedVersion: 7 })).toMatchObject({ __typename: 'CartPayload' });
      for (const other of [bob, nobody]) {
        expect(await undo(other, id, { expectedVersion: 99 })).toMatchObject({ __typename: 'NotFound', id });
      }
      expect(await undo(carla, 'nonsense')).toMatchObject({ __typename: 'ValidationFailed' });
    });

    test('as often as it is asked for at the same time', async () => {
      const { id } = await changedFiveTimes();
      const undone = await Promise.all([undo(carla, id), undo(carla, id), undo(carla, id)]);
      expect(undone.map(({ __typename }) => __typename)).toEqual(['CartPayload', 'CartPayload', 'CartPayload']);
      expect(has(await carla.cart(id))).toBe('A2 B1');
    });

    test('never of what came between: a change at the same time is not undone for the one before it', async () => {
      const { id } = await changedFiveTimes();
      const [undone, added] = await Promise.all([undo(carla, id), staff.addItem(id, 'B', 4)]);
      expect(added.__typename).toBe('CartPayload');
      const contents = has(await carla.cart(id));
      if (undone.__typename === 'CartPayload') expect(contents).toBe('A5 B4');
      else expect({ ...undone, contents }).toMatchObject({ state: 'NOT_YOURS', contents: 'A5 C3 B4' });
    });

    test('later, if nothing came between', async () => {
      const { id } = await changedFiveTimes();
      const undoing = await carla.queue('undoCartChange', { cartId: id });
      await staff.untilStatus(undoing, 'SUCCEEDED');
      expect(has(await carla.cart(id))).toBe('A5');
      const late = await carla.queue('undoCartChange', { cartId: id }, { dueAt: inMs(1_000) });
      await carla.addItem(id, 'B', 7);
      expect(await staff.untilStatus(late, 'REJECTED')).toMatchObject({ rejection: { code: 'VERSION_CONFLICT' } });
      expect(has(await carla.cart(id))).toBe('A5 B7');
    });
  });

  describe('is compared', () => {
    test('by field: applied to the older state, what differs gives the newer one', async () => {
      const { id } = await changedFiveTimes();
      const aggregate = { aggregateType: 'cart', aggregateId: id };
      const line = (quantity: number, sku: string, amountMinor: number) => ({
        [sku]: { name: `Product ${sku}`, quantity, unitPrice: { amountMinor, currency: 'GBP' } },
      });
      expect(await diff(staff, { ...aggregate, from: { version: 2 }, to: { version: 4 } })).toEqual([
        { path: '/lines/A/quantity', from: 2, to: 5 },
        { path: '/lines/B', from: null, to: line(1, 'B', 101)['B'] },
      ]);
      const whole = await diff(staff, { aggregateType: 'cart', aggregateId: rawId(id), from: { version: 0 } });
      const state = applied({ status: 'unknown' }, whole);
      expect(state).toMatchObject({
        status: 'open',
        lines: { ...line(5, 'A', 100), ...line(3, 'C', 102) },
        customerId: 'carla',
      });
      const past = await cartAsOf(carla, id, { version: 2 });
      const since = {
        aggregateType: 'cart',
        aggregateId: past?.id,
        from: { version: 6 },
        to: { at: '2999-01-01T00:00:00Z' },
      };
      expect(await diff(staff, since)).toEqual([]);
    });

    test('for any aggregate, a process too', async () => {
      const stock = await diff(staff, { aggregateType: 'stock', aggregateId: 'A', from: { version: 0 } });
      expect(stock).toContainEqual({ path: '/onHand', from: null, to: 1_000_000 });
      const cart = await carla.newCart();
      const watching = { aggregateType: 'abandoned-carts', aggregateId: rawId(cart), from: { version: 0 } };
      const changes = await eventually(() => diff(staff, watching));
      expect(changes).toContainEqual({ path: '/status', from: 'unwatched', to: 'watched' });
    });

    test('for staff alone, and of what there is', async () => {
      const { id } = await changedFiveTimes();
      const asked = { aggregateType: 'cart', aggregateId: id, from: { version: 1 } };
      for (const other of [carla, bob, nobody]) {
        expect(await refusal(other, QUERIES.diff, asked)).toMatchObject({ code: 'FORBIDDEN' });
      }
      for (const [change, code] of [
        [{ aggregateType: 'wardrobe' }, 'BAD_USER_INPUT'],
        [{ aggregateId: encodeGlobalId('Cart', randomUUID()) }, 'NOT_FOUND'],
        [{ aggregateId: 'nul \u0000' }, 'NOT_FOUND'],
        [{ from: { version: 7 } }, 'BAD_USER_INPUT'],
        [{ from: { version: 2 ** 31 - 1 } }, 'BAD_USER_INPUT'],
        [{ from: {} }, 'BAD_USER_INPUT'],
        [{ to: { version: 1, at: '2030-01-01T00:00:00Z' } }, 'BAD_USER_INPUT'],
      ] as const) {
        expect(await refusal(staff, QUERIES.diff, { ...asked, ...change })).toMatchObject({ code });
      }
    });
  });
});
