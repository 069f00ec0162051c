import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { issueToken } from '../../src/server/authentication.ts';
import { ADDRESS, Buyer, changesIn, orderOf, watchOrder } from '../support/buyer.ts';
import { allThatCanBeRead } from '../support/key-hunter.ts';
import { testMasterKey } from '../support/master-key.ts';
import { eventually, rawId } from '../support/operator.ts';
import type { Order } from '../support/order-views.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import type { Input } from '../support/shop.ts';
import { socketClient } from '../support/sockets.ts';
import { contextLog } from '../support/store-audit.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';
import { readWholeLog } from '../support/tally-engine.ts';
import { TradingShop } from '../support/trading-shop.ts';

// After somebody was forgotten, nothing that is stored can be read as theirs any more, by anybody, and history still reads.

const SECRET = 'a secret of at least thirty-two bytes';
const settings = { authMode: 'jwt', jwtSecret: SECRET } as const;
const FORGET = `mutation Forget($input: ForgetCustomerInput!) { forgetCustomer(input: $input) {
  __typename
  ... on CustomerPayload { customer { id personalData email name } receipt { commandId version replayed } }
  ... on Rejection { code message } ... on IllegalState { state } ... on NotFound { id }
  ... on ValidationFailed { fields { path message } } } }`;
const NOTHING = { personalData: 'FORGOTTEN', email: null };

interface Forgotten {
  readonly __typename: string;
  readonly customer?: { readonly id: string; readonly personalData: string };
  readonly receipt?: { readonly version: number; readonly replayed: boolean };
  readonly state?: string;
  readonly message?: string;
}

interface Exported {
  readonly customer: Readonly<Record<string, unknown>>;
  readonly isComplete: boolean;
  readonly [list: string]: unknown;
}

const customerId = (subject: string) => encodeGlobalId('Customer', subject);
const forget = async (by: Buyer, subject: string, more: Input = {}) => {
  const input = { customerId: customerId(subject), reason: 'They asked for it.', ...more };
  return (await by.read<{ forgetCustomer: Forgotten }>(FORGET, { input })).forgetCustomer;
};
const exportOf = async (by: Buyer, subject: string) =>
  (
    await by.read<{ exportCustomer: Exported | null }>('query All($id: ID!) { exportCustomer(id: $id) }', {
      id: customerId(subject),
    })
  ).exportCustomer;
const found = async (by: Buyer, email: string) =>
  (
    await by.read<{ customersByEmail: object[] }>(
      'query Of($email: String!) { customersByEmail(email: $email) { id } }',
      {
        email,
      },
    )
  ).customersByEmail;

describeEachStore('A person who is forgotten', (kind) => {
  const mark = randomUUID().replaceAll('-', '');
  const email = `ada.${mark}@example.com`;
  const address = { ...ADDRESS, name: `Name${mark}`, street: `Street${mark}`, city: `City${mark}` };
  const contact = { email, shippingAddress: address };
  let store: TestStore;
  let shop: TradingShop;
  /** Another server of the same store, where there can be one; else the same. */
  let other: LocalServer;
  let staff: Buyer;
  let ada: Buyer;
  let guest: Buyer;
  let elsewhere: Buyer;
  let order: Order;

  const as = async (role: Parameters<typeof issueToken>[1], subject: string, at: { url: string } = shop.server) =>
    new Buyer(at.url, await issueToken(SECRET, role, subject, 3_600));
  /** An order that was paid, and arrived; of which everybody was told what there is to tell. */
  async function delivered(by: Buyer, details: Input): Promise<Order> {
    const placed = orderOf(await by.checkOut(await by.cartWith({ ink: 2 }), details));
    expect(await by.pay(placed.id)).toMatchObject({ __typename: 'OrderPayload' });
    const arrived = await staff.untilOrder(placed.id, { status: 'DELIVERED' });
    await eventually(async () =>
      expect((await staff.told(arrived.id)).map(({ status }) => status)).toEqual(['KEPT', 'KEPT', 'KEPT']),
    );
    return arrived;
  }

  beforeAll(async () => {
    const sharing = { ...kind, create: async () => (store = await kind.create()) };
    shop = await TradingShop.open(sharing, { settings, pace: { preparedMs: 20, inTransitMs: 20 } });
    other = kind.engine === 'postgresql' ? await startLocalServer(store, settings, shop.outside) : shop.server;
    staff = await as('staff', 'anna');
    ada = await as('customer', 'ada');
    guest = await as('guest', 'ada');
    elsewhere = await as('staff', 'otto', other);
    await (await as('admin', 'boss')).addProduct('ink', { stock: 100 });
    await (await as('admin', 'boss')).addProduct('pen', { stock: 3 });
  });
  afterAll(async () => {
    if (other !== shop.server) await other.stop();
    await shop.close();
  });

  test('is not while an order of theirs is under way, and it is said which', async () => {
    const placed = orderOf(await ada.checkOut(await ada.cartWith({ ink: 1 }), contact));
    const refused = await forget(staff, 'ada');
    expect(refused).toMatchObject({ __typename: 'IllegalState', state: 'ORDER_OPEN' });
    expect(refused.message).toContain(rawId(placed.id));
    expect(await staff.cancel(placed.id)).toMatchObject({ __typename: 'OrderPayload' });
  });

  test('is forgotten by staff alone', async () => {
    for (const by of [ada, guest]) expect(await forget(by, 'ada')).toMatchObject({ __typename: 'Forbidden' });
  });

  test('can be shown before all that is kept about them, to themselves and to staff', async () => {
    order = await delivered(ada, contact);
    for (const reader of [ada, staff]) {
      const all = await exportOf(reader, 'ada');
      expect(all).toMatchObject({
        customer: { id: 'ada', personalData: 'PRESENT', email, name: address.name },
        isComplete: true,
      });
      const inAll = JSON.stringify(all);
      for (const list of ['carts', 'orders', 'notifications', 'events', 'commands']) expect(all).toHaveProperty(list);
      for (const type of [
        'CartCheckOutStarted',
        'OrderPlaced',
        'CheckoutStarted',
        'ShipmentRequested',
        'CustomerRecorded',
      ])
        expect(inAll).toContain(`"${type}"`);
      for (const name of ['CheckOutCart', 'PlaceOrder', 'RequestShipment', 'SendNotification'])
        expect(inAll).toContain(name);
      expect(inAll).toContain(order.number);
      expect(inAll.split(address.street).length).toBeGreaterThan(5);
    }
    expect(await exportOf(guest, 'ada')).toBeNull();
    expect(await exportOf(new Buyer(shop.server.url), 'ada')).toBeNull();
    expect(await exportOf(staff, 'nobody')).toBeNull();
  });

  test('cannot be read any more, in any answer of any server, and history still reads', async () => {
    const before = await readWholeLog(shop.server.engine.log);
    expect(await found(staff, email)).toHaveLength(1);
    // In the memory of the other server, too.
    expect(await elsewhere.order(order.id)).toMatchObject(contact);
    const token = `Bearer ${await issueToken(SECRET, 'staff', 'otto', 3_600)}`;
    const client = socketClient(other.webSocketUrl, token);
    const watching = watchOrder(client, order.id);
    await eventually(() => expect(changesIn(watching)).toMatchObject([{ order: { email } }]));

    expect(await forget(staff, 'ada')).toMatchObject({
      __typename: 'CustomerPayload',
      customer: { id: customerId('ada'), ...NOTHING, name: null },
    });
    const gone = { ...NOTHING, shippingAddress: null, status: 'DELIVERED', customer: { ...NOTHING, name: null } };
    expect(await staff.order(order.id)).toMatchObject(gone);
    expect((await staff.told(order.id)).map(({ to }) => to)).toEqual([null, null, null]);
    expect(await found(staff, email)).toEqual([]);
    await eventually(async () => {
      expect(await elsewhere.order(order.id)).toMatchObject(gone);
      expect(changesIn(watching).at(-1)).toMatchObject({ order: gone });
      expect(await found(elsewhere, email)).toEqual([]);
    });
    await client.dispose();

    const all = await exportOf(ada, 'ada');
    expect(all).toMatchObject({ customer: { id: 'ada', personalData: 'FORGOTTEN', email: null, name: null } });
    expect(JSON.stringify(all)).toContain(order.number);
    for (const node of [shop.server, other]) {
      await node.engine.tail.refresh();
      const after = await eventually(async () => {
        const events = await readWholeLog(node.engine.log);
        expect(JSON.stringify([events, all])).not.toContain(mark);
        return events;
      });
      const headOf = ({ data: _, ...event }: (typeof after)[number]) => event;
      expect(after.slice(0, before.length).map(headOf)).toEqual(before.map(headOf));
      expect(after.slice(before.length).map(({ type }) => type)).toContain('CustomerForgotten');
      expect(JSON.stringify(await node.engine.tail.read(0, 100_000))).not.toContain(mark);
    }
  });

  test('is in nothing that is stored, however it is read, with all keys that are left', async () => {
    const bob = await delivered(await as('customer', 'bob'), { email: 'bob@example.com', shippingAddress: ADDRESS });
    const { text, sealed, opened } = await eventually(async () => {
      const read = await allThatCanBeRead(shop.server.database, [testMasterKey]);
      expect(read.text.includes(mark)).toBe(false);
      return read;
    });
    expect(opened).toBeGreaterThan(sealed);
    // It would be found: others' data is.
    expect(text).toContain('bob@example.com');
    expect(text).not.toContain(shop.server.engine.codec.keyedHash(email));
    expect(text).toContain(shop.server.engine.codec.keyedHash('bob@example.com'));
    // As a server reads it that was not there before.
    const events = await readWholeLog(await contextLog(shop.server.database));
    expect(JSON.stringify(events)).not.toContain(mark);
    expect(JSON.stringify(events)).toContain('bob@example.com');
    expect(await staff.order(bob.id)).toMatchObject({ email: 'bob@example.com', personalData: 'PRESENT' });
    for (const { table, columns } of [
      { table: 'order_view', columns: ['email', 'shipping_address'] },
      { table: 'notification_view', columns: ['recipient'] },
      { table: 'customer_view', columns: ['email', 'name', 'folded_email', 'email_hash'] },
    ]) {
      const kept = columns.map((it) => `${it} IS NOT NULL`).join(' OR ');
      const sql = `SELECT 1 FROM ${table} WHERE customer_id = 'ada' AND (${kept})`;
      await eventually(async () => expect(await shop.server.database.derived.query(sql)).toEqual([]));
    }
    expect(await shop.server.database.log.query("SELECT 1 FROM snapshots WHERE 'ada' = ANY (subjects)")).toEqual([]);
  });

  test('is forgotten once: to ask again changes nothing, and a repeat is answered as before', async () => {
    const commandId = randomUUID();
    const again = await forget(staff, 'ada', { commandId });
    expect(again).toMatchObject({ __typename: 'CustomerPayload', receipt: { replayed: false } });
    const repeated = await forget(staff, 'ada', { commandId });
    expect(repeated).toMatchObject({ __typename: 'CustomerPayload', receipt: { replayed: true } });
    expect(repeated.receipt?.version).toBe(again.receipt?.version);
  });

  test('cannot order any more: nothing could be sent to them, and their cart is theirs again', async () => {
    const cart = await ada.cartWith({ ink: 1 });
    for (const by of new Set([ada, await as('customer', 'ada', other)])) {
      const refused = await by.checkOut(cart, contact);
      expect(refused).toMatchObject({ __typename: 'IllegalState', state: 'FORGOTTEN' });
    }
    expect(await ada.cart(cart)).toMatchObject({ status: 'OPEN', lines: [{ sku: 'ink' }] });
    expect((await allThatCanBeRead(shop.server.database, [testMasterKey])).text.includes(mark)).toBe(false);
    expect(JSON.stringify(await shop.server.engine.tail.read(0, 100_000))).not.toContain(mark);
    expect((await staff.product('ink'))?.available).toBeGreaterThan(90);
  });

  test('may be a guest, with a token or without one: whoever has their key', async () => {
    const nobody = new Buyer(shop.server.url);
    for (const buyer of [guest, nobody]) {
      const theirs = await delivered(buyer, contact);
      const { customer } = (await staff.order(theirs.id)) ?? {};
      const subject = rawId(customer?.id ?? '');
      if (buyer === guest) expect(subject).toBe('guest:ada');
      expect(await exportOf(staff, subject)).toMatchObject({ customer: { email }, orders: [{ email }] });
      expect(await forget(staff, subject)).toMatchObject({ __typename: 'CustomerPayload', customer: NOTHING });
      expect(await staff.order(theirs.id)).toMatchObject({ ...NOTHING, shippingAddress: null });
    }
    await eventually(async () =>
      expect((await allThatCanBeRead(shop.server.database, [testMasterKey])).text.includes(mark)).toBe(false),
    );
  });

  test('may have checked out and got no order; who never did anything is not there', async () => {
    const carla = await as('customer', 'carla');
    const [cart, others] = [await carla.cartWith({ pen: 3 }), await staff.cartWith({ pen: 3 })];
    orderOf(await staff.checkOut(others));
    expect(await carla.checkOut(cart, contact)).toMatchObject({ __typename: 'InsufficientStock' });
    expect(await forget(staff, 'carla')).toMatchObject({ __typename: 'CustomerPayload', customer: NOTHING });
    expect(await forget(staff, 'nobody')).toMatchObject({ __typename: 'NotFound', id: customerId('nobody') });
    expect(await forget(staff, '')).toMatchObject({ __typename: 'ValidationFailed' });
    expect(await forget(staff, 'carla', { reason: ' ' })).toMatchObject({ __typename: 'ValidationFailed' });
  });

  test.each([
    ['with an umlaut', 'jürgen'],
    ['in other scripts', '李雷 👩🏽‍🚀'],
    ['as long as there is', '李'.repeat(200)],
  ])('may be called what they like: %s', async (_, subject) => {
    const by = await as('customer', subject);
    const placed = orderOf(await by.checkOut(await by.cartWith({ ink: 1 }), contact));
    await by.cancel(placed.id);
    const { customer } = (await staff.order(placed.id)) ?? {};
    expect(customer?.id).toBe(customerId(subject));
    const shown = await by.node(customer?.id ?? '', '... on Customer { email }');
    expect(shown).toMatchObject({ id: customer?.id, email });
    expect(await exportOf(by, subject)).toMatchObject({ customer: { id: subject, email }, isComplete: true });
    expect(await forget(staff, subject)).toMatchObject({ __typename: 'CustomerPayload', customer: NOTHING });
    expect(await staff.order(placed.id)).toMatchObject({ ...NOTHING, shippingAddress: null });
  });
});
