import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { issueToken } from '../../src/server/authentication.ts';
import { ADDRESS, Buyer, changesIn, EMAIL, onlyOne, orderOf, watchOrder } from '../support/buyer.ts';
import { eventually, rawId } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { socketClient, watch } from '../support/sockets.ts';
import { storeKinds } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const SECRET = 'a secret of at least thirty-two bytes';
const [kind] = storeKinds;
const MASKED = { personalData: 'MASKED', email: null, shippingAddress: null, customer: null };
const PRESENT = { personalData: 'PRESENT', email: EMAIL, shippingAddress: ADDRESS };

describe('With AUTH_MODE=jwt, an order', () => {
  let shop: TradingShop;
  let anonymous: Buyer;
  let staff: Buyer;
  let carla: Buyer;
  let bob: Buyer;
  let guest: Buyer;
  let otherGuest: Buyer;
  /** A guest whose token has the id that a customer's has, by chance or not. */
  let namesake: Buyer;
  let service: Buyer;

  const as = async (role: Parameters<typeof issueToken>[1], subject: string) =>
    new Buyer(shop.server.url, await issueToken(SECRET, role, subject, 3_600));

  beforeAll(async () => {
    if (kind === undefined) throw new Error('There is no store.');
    const settings = { authMode: 'jwt', jwtSecret: SECRET } as const;
    shop = await TradingShop.open(kind, { settings, pace: { preparedMs: 20, inTransitMs: 20 } });
    anonymous = new Buyer(shop.server.url);
    staff = await as('staff', 'anna');
    carla = await as('customer', 'carla');
    bob = await as('customer', 'bob');
    guest = await as('guest', 'visitor');
    otherGuest = await as('guest', 'passer-by');
    namesake = await as('guest', 'carla');
    service = await as('service', 'robot');
    await staff.addProduct('A');
  });
  afterAll(() => shop.close());

  /** A whole order, of which there is everything to be seen. */
  async function delivered(buyer: Buyer): Promise<Order> {
    const { id } = await buyer.placed({ A: 2 });
    await buyer.pay(id);
    return staff.untilOrder(id, { status: 'DELIVERED' });
  }

  describe("of a customer's", () => {
    let order: Order;
    beforeAll(async () => {
      order = await delivered(carla);
    });
    const strangers = () => [anonymous, bob, guest, namesake, service];

    test('is there for the customer and for staff, with all that belongs to it', async () => {
      for (const reader of [carla, staff]) {
        expect(await reader.order(order.id)).toMatchObject({
          ...{ id: order.id, status: 'DELIVERED', ...PRESENT },
          customer: { personalData: 'PRESENT', email: EMAIL, name: ADDRESS.name },
        });
        expect(await reader.payment(onlyOne(order.payments).id)).toMatchObject({ status: 'CONFIRMED' });
        expect(await reader.shipment(onlyOne(order.shipments).id)).toMatchObject({ status: 'DELIVERED' });
        await eventually(async () => expect(await reader.told(order.id)).toHaveLength(3));
      }
    });

    test('is not there for others, however it is asked for', async () => {
      const told = onlyOne((await carla.told(order.id)).slice(0, 1));
      const parts = [...order.payments, ...order.shipments, told];
      const ids = [order.id, ...parts.map(({ id }) => id), order.customer?.id];
      for (const stranger of strangers()) {
        expect(await stranger.order(order.id)).toBeNull();
        const query = 'query Nodes($ids: [ID!]!) { nodes(ids: $ids) { id } }';
        expect(await stranger.read(query, { ids })).toEqual({ nodes: ids.map(() => null) });
        expect((await stranger.orders()).nodes).toEqual([]);
        expect((await stranger.orders()).totalCount).toBe(0);
        expect((await stranger.notifications({ orderId: order.id })).nodes).toEqual([]);
      }
    });

    test('finds none for others who would change it', async () => {
      const { id } = await carla.placed({ A: 1 });
      for (const stranger of strangers()) {
        const outcomes = [await stranger.pay(id), await stranger.cancel(id), await stranger.returnItems(id, { A: 1 })];
        for (const outcome of outcomes) expect(outcome).toMatchObject({ __typename: 'NotFound', id });
        const betrayed = await stranger.cancel(id, { expectedVersion: 0 });
        expect(betrayed).toMatchObject({ __typename: 'NotFound', id });
      }
      expect(await carla.order(id)).toMatchObject({ status: 'PLACED', version: 1, payments: [] });
      expect(await staff.cancel(id)).toMatchObject({ __typename: 'OrderPayload' });
    });

    test('cannot be watched by others: there is nothing by that id', async () => {
      for (const stranger of strangers()) {
        const client = socketClient(shop.server.webSocketUrl, stranger.headers['authorization']);
        const watching = watchOrder(client, order.id);
        await watching.ended;
        expect(JSON.stringify(watching.error ?? watching.results)).toContain('NOT_FOUND');
        await client.dispose();
      }
    });

    test('is watched by the customer, who is told nothing in it that is for staff', async () => {
      const client = socketClient(shop.server.webSocketUrl, carla.headers['authorization']);
      const { position } = await carla.placed({ A: 1 });
      const placed = orderOf(await carla.checkOut(await carla.cartWith({ A: 1 })));
      const seen = watch(client, {
        query: `subscription Watch($id: ID!, $after: Position) { orderChanged(id: $id, after: $after) {
          order { email } events { type data ... on OrderPlaced { payload { customerId email shippingAddress { street } } } }
        } }`,
        variables: { id: placed.id, after: position },
      });
      await eventually(() => expect(seen.results).not.toHaveLength(0));
      await client.dispose();
      const data = JSON.stringify(seen.results);
      expect(data).toContain('OrderPlaced');
      expect(data).toContain('"order":{"email":"ada@example.com"}');
      expect(data).toContain('"payload":{"customerId":null,"email":null,"shippingAddress":null}');
      expect(data.split(EMAIL)).toHaveLength(2);
      expect(data).not.toContain(ADDRESS.street);
    });
  });

  describe("of a guest's", () => {
    let order: Order;
    beforeAll(async () => {
      order = await delivered(guest);
    });

    test('is there for whoever knows its id, but who it is for and where it goes is not', async () => {
      for (const reader of [anonymous, bob, otherGuest]) {
        expect(await reader.order(order.id)).toMatchObject({ id: order.id, status: 'DELIVERED', ...MASKED });
        expect((await reader.orders()).nodes.map(({ id }) => id)).not.toContain(order.id);
        expect(await reader.told(order.id)).toEqual([]);
        expect(JSON.stringify(reader.answers)).not.toContain(ADDRESS.street);
      }
      expect(await guest.order(order.id)).toMatchObject(PRESENT);
      expect((await guest.orders()).nodes.map(({ id }) => id)).toEqual([order.id]);
      expect(await guest.told(order.id)).not.toEqual([]);
      expect(await staff.order(order.id)).toMatchObject(PRESENT);
    });

    test('says why to whoever knows its id, but not in the words of whoever returned it', async () => {
      const reason = 'It is for my new flat in Leeds.';
      const { id } = await delivered(guest);
      const { receipt } = await guest.returnItems(id, { A: 1 }, { reason });
      for (const reader of [guest, staff]) {
        expect(await reader.order(id)).toMatchObject({ status: 'PARTIALLY_RETURNED', statusReason: reason });
      }
      for (const reader of [anonymous, bob, otherGuest]) {
        expect(await reader.order(id)).toMatchObject({ status: 'PARTIALLY_RETURNED', statusReason: null });
      }
      const shown =
        'query Told($id: ID!) { command(commandId: $id) { events { data ... on OrderItemsReturned { payload { reason } } } } }';
      const toldTo = (reader: Buyer) => reader.read<object>(shown, { id: receipt?.commandId });
      expect(JSON.stringify(await toldTo(staff))).toContain(`"payload":{"reason":"${reason}"}`);
      expect(JSON.stringify(await toldTo(guest))).toContain('"payload":{"reason":null}');
      expect(JSON.stringify(await toldTo(guest))).not.toContain(reason);
      const other = await guest.placed({ A: 1 });
      await guest.cancel(other.id, { reason });
      for (const reader of [anonymous, guest]) {
        expect(await reader.untilOrder(other.id, { status: 'CANCELLED' })).toMatchObject({
          statusReason: 'CANCELLED_BY_CUSTOMER',
        });
      }
    });

    test('can be watched by its id, without what is personal', async () => {
      const client = socketClient(shop.server.webSocketUrl);
      const watching = watchOrder(client, order.id);
      await eventually(() => expect(changesIn(watching)).toHaveLength(1));
      await client.dispose();
      expect(changesIn(watching)[0]?.order).toMatchObject({ status: 'DELIVERED', ...MASKED });
    });
  });

  test("of nobody's is for whoever knows its id; its personal data for staff alone", async () => {
    const { id } = await anonymous.placed({ A: 1 });
    expect(await anonymous.order(id)).toMatchObject({ status: 'PLACED', ...MASKED });
    expect((await anonymous.orders()).nodes).toEqual([]);
    expect(await staff.order(id)).toMatchObject(PRESENT);
    expect(await anonymous.pay(id)).toMatchObject({ __typename: 'OrderPayload', order: MASKED });
  });

  test('is made by a command whose personal data is shown to whoever sent it, if that can be told, and to staff', async () => {
    for (const [buyer, readers, others] of [
      [anonymous, [], [anonymous, bob]],
      [guest, [guest], [anonymous, bob, otherGuest]],
      [carla, [carla], [anonymous, bob, guest]],
    ] as const) {
      const { receipt } = await buyer.checkOut(await buyer.cartWith({ A: 1 }));
      const commandId = receipt?.commandId ?? '';
      for (const reader of [...readers, staff]) {
        expect(await reader.command(commandId)).toMatchObject({ input: { email: EMAIL, shippingAddress: ADDRESS } });
      }
      for (const other of others) {
        const shown = await other.command(commandId);
        expect(JSON.stringify(shown)).not.toContain(EMAIL);
        expect(JSON.stringify(shown)).not.toContain(ADDRESS.street);
        // One anonymous caller is like another: what became of it may be told, and whom it is for not.
        if (buyer === other) expect(shown).toMatchObject({ name: 'CheckOutCart', input: { email: null } });
        else expect(shown).toBeNull();
      }
    }
  });

  test('is cancelled by a command whose reason is the own words of whoever sent it: shown to them, and to staff', async () => {
    const reason = 'It is for my new flat in Leeds.';
    for (const [buyer, readers, customerId] of [
      [anonymous, [], expect.any(String)],
      [guest, [guest], 'guest:visitor'],
      [carla, [carla], 'carla'],
      [staff, [], expect.any(String)],
    ] as const) {
      const { id } = await buyer.placed({ A: 1 });
      const { receipt } = await buyer.cancel(id, { reason });
      const commandId = receipt?.commandId ?? '';
      for (const reader of [...readers, staff]) {
        expect(await reader.command(commandId)).toMatchObject({ name: 'CancelOrder', input: { customerId, reason } });
      }
      const others = [anonymous, bob, otherGuest, namesake];
      for (const other of others) expect(JSON.stringify(await other.command(commandId))).not.toContain(reason);
    }
  });

  test('says to nobody who may not use it whose it is, also where they try', async () => {
    const { id } = await carla.placed({ A: 1 });
    const guests = await guest.placed({ A: 1 });
    const commandIds = Array.from({ length: 4 }, () => randomUUID());
    const [asBob, asRobot, asNobody, asAnyone] = commandIds;
    await bob.cancel(id, { commandId: asBob });
    await service.cancel(id, { commandId: asRobot });
    await anonymous.cancel(id, { commandId: asNobody });
    await anonymous.returnItems(guests.id, { A: 1 }, { commandId: asAnyone });
    const inputs = await Promise.all([
      bob.command(asBob ?? ''),
      service.command(asRobot ?? ''),
      ...[anonymous.command(asNobody ?? ''), anonymous.command(asAnyone ?? '')],
    ]);
    expect(inputs.map((it) => it?.input['customerId'])).toEqual(['bob', rawId(id), null, null]);
    expect((await staff.command(asAnyone ?? ''))?.input).toMatchObject({ customerId: 'guest:visitor' });
  });

  test("cannot be made of somebody else's cart", async () => {
    const cartId = await carla.cartWith({ A: 1 });
    for (const stranger of [anonymous, bob, guest, service]) {
      expect(await stranger.checkOut(cartId)).toMatchObject({ __typename: 'NotFound', id: cartId });
    }
    expect((await carla.cart(cartId))?.status).toBe('OPEN');
    // What they sent is theirs, if that can be told; it is not what the customer is forgotten with.
    for (const [stranger, customerId] of [
      [anonymous, rawId(cartId)],
      [bob, 'bob'],
      [guest, 'guest:visitor'],
      [service, rawId(cartId)],
    ] as const) {
      const commandId = randomUUID();
      await stranger.run('checkOutCart', { cartId, email: EMAIL, shippingAddress: ADDRESS, commandId });
      expect((await staff.command(commandId))?.input).toMatchObject({ customerId, email: EMAIL });
    }
    // Staff order for the customer: it is the customer's order then.
    const { id } = orderOf(await staff.checkOut(cartId));
    expect(await carla.order(id)).toMatchObject({ id, ...PRESENT });
  });

  test("that a customer makes of a guest's cart is the customer's", async () => {
    const cartId = await anonymous.cartWith({ A: 1 });
    const { id } = orderOf(await bob.checkOut(cartId));
    expect(await bob.order(id)).toMatchObject({ id, ...PRESENT });
    expect(await anonymous.order(id)).toBeNull();
    expect((await bob.orders()).nodes.map((it) => it.id)).toContain(id);
  });

  test('has shipments that staff alone move on', async () => {
    const order = await delivered(carla);
    const { id } = onlyOne(order.shipments);
    for (const shopper of [anonymous, carla, bob, guest, service]) {
      expect(await shopper.run('advanceShipment', { shipmentId: id, to: 'DELIVERED' })).toMatchObject({
        ...{ __typename: 'Forbidden', receipt: null },
      });
    }
    const again = await staff.run('advanceShipment', { shipmentId: id, to: 'DELIVERED' });
    expect(again).toMatchObject({ __typename: 'ShipmentPayload', shipment: { status: 'DELIVERED' } });
  });

  test('is listed for those whose it is; for staff, all are', async () => {
    const dora = await as('customer', 'dora');
    const [first, second] = [await dora.placed({ A: 1 }), await dora.placed({ A: 1 })];
    await bob.placed({ A: 1 });
    expect((await dora.orders()).nodes.map(({ id }) => id)).toEqual([second.id, first.id]);
    expect((await dora.orders()).totalCount).toBe(2);
    const all = (await staff.orders({ first: 100 })).nodes.map(({ id }) => id);
    expect(all).toEqual(expect.arrayContaining([first.id, second.id]));
    expect(all.length).toBeGreaterThan(3);
    // What one has no right to is not reached by a cursor of somebody else's either.
    const { endCursor } = (await staff.orders({ first: 1 })).pageInfo;
    expect((await dora.orders({ first: 10, after: endCursor })).nodes.map(({ id }) => id)).toEqual([
      second.id,
      first.id,
    ]);
  });

  test('makes whoever signs in known', async () => {
    const emil = await as('customer', 'emil');
    expect(await anonymous.viewer()).toBeNull();
    expect(await staff.viewer()).toBeNull();
    const before = await emil.viewer();
    expect(before).toMatchObject({ personalData: 'PRESENT', email: null, name: null });
    await emil.placed({ A: 1 });
    const known = { id: before?.id, personalData: 'PRESENT', email: EMAIL, name: ADDRESS.name };
    await eventually(async () => expect(await emil.viewer()).toEqual(known));
    expect(await staff.node(before?.id ?? '', '... on Customer { personalData email name }')).toMatchObject(known);
    for (const stranger of [anonymous, bob]) expect(await stranger.node(before?.id ?? '', '')).toBeNull();
  });

  test("of a customer's is not a guest's of the same id, nor the other way round", async () => {
    const hers = await carla.placed({ A: 1 });
    const theirs = await namesake.placed({ A: 1 });
    expect((await namesake.orders()).nodes.map(({ id }) => id)).toEqual([theirs.id]);
    expect(await namesake.order(theirs.id)).toMatchObject(PRESENT);
    expect((await carla.orders()).nodes.map(({ id }) => id)).toContain(hers.id);
    expect((await carla.orders()).nodes.map(({ id }) => id)).not.toContain(theirs.id);
    expect(await carla.order(theirs.id)).toMatchObject(MASKED);
    expect((await namesake.viewer())?.id).not.toBe((await carla.viewer())?.id);
    const shown = { personalData: 'PRESENT', email: EMAIL };
    await eventually(async () => expect(await namesake.viewer()).toMatchObject(shown));
  });

  test('of a customer is for nobody whose id is one that guests have', async () => {
    const disguised = await as('customer', 'guest:visitor');
    const { errors } = await disguised.ask('{ viewer { id } }');
    expect(errors).toMatchObject([{ extensions: { code: 'UNAUTHENTICATED' } }]);
  });

  test('is followed by its process, which shows nothing that is personal', async () => {
    const order = await delivered(guest);
    const { process } = (await anonymous.order(order.id)) ?? {};
    expect(process).toMatchObject({ process: 'checkout', status: 'COMPLETED' });
    expect(process?.steps.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['reserve stock', 'place order', 'payment', 'sell stock', 'ship', 'deliver']),
    );
  });
});
