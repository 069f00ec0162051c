import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { issueToken } from '../../src/server/authentication.ts';
import { eventually, inMs } from '../support/operator.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { Shop } from '../support/shop.ts';
import { describeEachStore, storeKinds, type TestStore } from '../support/stores.ts';

const gbp = (amountMinor: number) => ({ amountMinor, currency: 'GBP' });

describeEachStore('Coupons', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Shop;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    shop = new Shop(server.url);
    await shop.addProduct('A', { price: 999 });
    await shop.run('addCoupon', { code: 'ten', label: 'Ten percent', percent: 10 });
    await shop.run('addCoupon', { code: 'FIVE-OFF', label: 'Five pounds', amount: gbp(500) });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  async function cartWith(quantity: number, currency = 'GBP'): Promise<string> {
    const cartId = await shop.newCart(currency);
    if (quantity > 0) await shop.addItem(cartId, 'A', quantity);
    return cartId;
  }

  const apply = (cartId: string, code: string, rest = {}) => shop.run('applyCoupon', { cartId, code, ...rest });

  /** What the process of an order asks for. */
  const redeem = (code: string, name = 'RedeemCoupon', orderId: string = randomUUID()) => {
    const commandId = randomUUID();
    return server.engine.executor.execute({
      ...{ commandId, name, data: { code, orderId }, actor: SYSTEM, correlationId: commandId },
    });
  };

  test('are added once, by a code in capitals, and shown to staff with their terms', async () => {
    const terms = { label: 'A week', amount: gbp(250), validFrom: inMs(-1_000), validTo: inMs(60_000), maxUses: 3 };
    const coupon = { code: 'WEEK', percent: null, uses: 0, ...terms };
    expect(await shop.run('addCoupon', { code: 'week', ...terms })).toMatchObject({
      ...{ __typename: 'CouponPayload', coupon, receipt: { status: 'SUCCEEDED', version: 1 } },
    });
    expect(await shop.coupon(' week ')).toEqual(coupon);
    expect(await shop.run('addCoupon', { code: 'WEEK', label: 'Another', percent: 1 })).toMatchObject({
      ...{ __typename: 'IllegalState', state: 'OPEN' },
    });
    expect(await shop.coupon('NONE')).toBeNull();
  });

  test('need either a percentage or an amount', async () => {
    for (const [terms, path] of [
      [{}, 'percent'],
      [{ percent: 10, amount: gbp(1) }, 'amount'],
      [{ percent: 101 }, 'percent'],
      [{ percent: 10, validFrom: inMs(1_000), validTo: inMs(0) }, 'validTo'],
    ] as const) {
      expect(await shop.run('addCoupon', { code: 'BAD', label: 'Bad', ...terms })).toMatchObject({
        ...{ __typename: 'ValidationFailed', fields: [{ path: [path] }] },
      });
    }
  });

  test('take off a percentage of what is in the cart, whatever comes in', async () => {
    const cartId = await cartWith(1);
    expect(await apply(cartId, 'ten')).toMatchObject({
      __typename: 'CartPayload',
      cart: { discounts: [{ code: 'TEN', label: 'Ten percent', amount: { amountMinor: 99 } }], total: gbp(900) },
    });
    expect((await shop.addItem(cartId, 'A', 9)).cart).toMatchObject({
      ...{ discounts: [{ amount: { amountMinor: 999 } }], total: gbp(8_991) },
    });
    expect((await shop.run('clearCart', { cartId })).cart).toMatchObject({
      ...{ discounts: [{ amount: { amountMinor: 0 } }], total: gbp(0) },
    });
  });

  test('take off an amount, but never more than there is to pay', async () => {
    const cartId = await cartWith(1);
    expect((await apply(cartId, 'FIVE-OFF')).cart).toMatchObject({ total: gbp(499) });
    await shop.run('addProduct', { sku: 'CHEAP', name: 'Cheap', price: gbp(3), stock: 10 });
    const cheap = await shop.newCart();
    await shop.addItem(cheap, 'CHEAP');
    expect((await apply(cheap, 'FIVE-OFF')).cart).toMatchObject({
      ...{ discounts: [{ amount: { amountMinor: 3 } }], total: gbp(0) },
    });
  });

  test('take the place of one another, and can be removed', async () => {
    const cartId = await cartWith(1);
    await apply(cartId, 'TEN');
    const { cart, receipt } = await apply(cartId, 'FIVE-OFF');
    expect(cart?.discounts.map(({ code }) => code)).toEqual(['FIVE-OFF']);
    expect(await apply(cartId, 'FIVE-OFF')).toMatchObject({ receipt: { version: receipt?.version } });
    expect(await shop.run('removeCoupon', { cartId, code: 'TEN' })).toMatchObject({
      __typename: 'NotFound',
      id: 'TEN',
    });
    expect(await shop.run('removeCoupon', { cartId, code: 'five-off' })).toMatchObject({
      ...{ __typename: 'CartPayload', cart: { discounts: [], total: gbp(999) } },
    });
  });

  test('are refused for what they are: unknown, not yet valid, not valid any more, of another currency', async () => {
    await shop.run('addCoupon', { code: 'SOON', label: 'Soon', percent: 5, validFrom: inMs(3_600_000) });
    await shop.run('addCoupon', { code: 'OLD', label: 'Old', percent: 5, validTo: inMs(-1) });
    const cartId = await cartWith(1);
    for (const [code, reason] of [
      ['NONE', 'UNKNOWN'],
      ['SOON', 'NOT_YET'],
      ['OLD', 'EXPIRED'],
    ] as const) {
      const outcome = await apply(cartId, code);
      expect(outcome).toMatchObject({ __typename: 'CouponInvalid', code: 'COUPON_INVALID', reason });
      expect(outcome.message).toContain(code);
      expect(outcome.receipt).toMatchObject({ status: 'REJECTED' });
    }
    const euros = await shop.newCart('EUR');
    expect(await apply(euros, 'FIVE-OFF')).toMatchObject({ reason: 'OTHER_CURRENCY' });
    expect(await apply(euros, 'TEN')).toMatchObject({ __typename: 'CartPayload' });
    expect((await shop.cart(cartId))?.discounts).toEqual([]);
  });

  test('refuse what is no code, and carts that are not there', async () => {
    const cartId = await cartWith(0);
    expect(await apply(cartId, 'a b')).toMatchObject({ __typename: 'ValidationFailed', fields: [{ path: ['code'] }] });
    expect(await apply(cartId, 'TEN', { expectedVersion: 7 })).toMatchObject({ __typename: 'VersionConflict' });
    expect(await apply('Q2FydDpub25l', 'TEN')).toMatchObject({ __typename: 'ValidationFailed' });
  });

  test('give their last use to one of two orders that want it at once; then no cart can have it', async () => {
    await shop.run('addCoupon', { code: 'LAST', label: 'Last', percent: 5, maxUses: 1 });
    const cartId = await cartWith(1);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => redeem('LAST')));
    expect(outcomes.filter(({ outcome }) => outcome === 'succeeded')).toHaveLength(1);
    for (const each of outcomes.filter(({ outcome }) => outcome !== 'succeeded')) {
      expect(each).toMatchObject({ outcome: 'rejected', rejection: { code: 'COUPON_INVALID', reason: 'USED_UP' } });
    }
    await eventually(async () => expect(await shop.coupon('LAST')).toMatchObject({ uses: 1 }));
    expect(await apply(cartId, 'LAST')).toMatchObject({ __typename: 'CouponInvalid', reason: 'USED_UP' });
  });

  test('can be used again when a use comes back', async () => {
    await shop.run('addCoupon', { code: 'BACK', label: 'Back', percent: 5, maxUses: 1 });
    const orderId = randomUUID();
    await redeem('BACK', 'RedeemCoupon', orderId);
    await redeem('BACK', 'ReleaseCoupon', orderId);
    await eventually(async () => expect(await shop.coupon('BACK')).toMatchObject({ uses: 0 }));
    expect(await apply(await cartWith(1), 'BACK')).toMatchObject({ __typename: 'CartPayload' });
    expect(await redeem('BACK')).toMatchObject({ outcome: 'succeeded' });
  });
});

describe('With AUTH_MODE=jwt, coupons', () => {
  const SECRET = 'a secret of at least thirty-two bytes';
  const [kind] = storeKinds;
  let store: TestStore;
  let server: LocalServer;
  const as = async (role: Parameters<typeof issueToken>[1], subject: string) =>
    new Shop(server.url, await issueToken(SECRET, role, subject, 3_600));

  beforeAll(async () => {
    if (kind === undefined) throw new Error('There is no store.');
    store = await kind.create();
    server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: SECRET });
    await (await as('staff', 'anna')).run('addCoupon', { code: 'TEN', label: 'Ten percent', percent: 10 });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  test('are added and looked at by staff alone', async () => {
    for (const shop of [new Shop(server.url), await as('guest', 'visitor'), await as('customer', 'carla')]) {
      expect(await shop.run('addCoupon', { code: 'MINE', label: 'Mine', percent: 100 })).toMatchObject({
        ...{ __typename: 'Forbidden', receipt: null },
      });
      expect(await shop.coupon('TEN')).toBeNull();
    }
    expect(await (await as('staff', 'anna')).coupon('MINE')).toBeNull();
    expect(await (await as('staff', 'anna')).coupon('TEN')).toMatchObject({ code: 'TEN' });
  });

  test("are applied to one's own cart", async () => {
    const carla = await as('customer', 'carla');
    const cartId = await carla.newCart();
    const bob = await as('customer', 'bob');
    expect(await bob.run('applyCoupon', { cartId, code: 'TEN' })).toMatchObject({ __typename: 'NotFound', id: cartId });
    expect(await carla.run('applyCoupon', { cartId, code: 'TEN' })).toMatchObject({ __typename: 'CartPayload' });
    expect(await bob.run('removeCoupon', { cartId, code: 'TEN' })).toMatchObject({
      __typename: 'NotFound',
      id: cartId,
    });
  });
});
