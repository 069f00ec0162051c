import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Buyer, orderOf } from '../support/buyer.ts';
import { eventually } from '../support/operator.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const gbp = (amountMinor: number) => ({ amountMinor, currency: 'GBP' });

describeEachStore('A coupon at the check-out', (kind) => {
  let shop: TradingShop;
  let buyer: Buyer;

  beforeAll(async () => {
    shop = await TradingShop.open(kind);
    buyer = shop.buyer;
    await buyer.addProduct('A', { price: 999 });
    await buyer.addProduct('RARE', { price: 100, stock: 1 });
  });
  afterAll(() => shop.close());

  const addCoupon = (code: string, terms: object = {}) =>
    buyer.run('addCoupon', { code, label: `Coupon ${code}`, percent: 10, ...terms });

  async function cartWith(code: string, sku = 'A'): Promise<string> {
    const cartId = await buyer.cartWith({ [sku]: 1 });
    expect(await buyer.run('applyCoupon', { cartId, code })).toMatchObject({ __typename: 'CartPayload' });
    return cartId;
  }

  const untilUsed = (code: string, uses: number) =>
    eventually(async () => expect(await buyer.coupon(code)).toMatchObject({ uses }));

  test('that is valid is taken off what is to be paid', async () => {
    await addCoupon('TEN');
    const { id, ...order } = orderOf(await buyer.checkOut(await cartWith('TEN')));
    expect(order).toMatchObject({
      subtotal: gbp(999),
      discounts: [{ code: 'TEN', amount: gbp(99) }],
      total: gbp(900),
    });
    await untilUsed('TEN', 1);
    expect(await buyer.pay(id)).toMatchObject({ order: { payments: [{ status: 'CONFIRMED', amount: gbp(900) }] } });
  });

  test('that takes everything off leaves nothing to pay: the order is paid at once', async () => {
    await addCoupon('ALL', { percent: 100 });
    const { id } = orderOf(await buyer.checkOut(await cartWith('ALL')));
    const prepared = await buyer.untilOrder(id, {
      status: 'PREPARING',
      total: gbp(0),
      payments: [],
      paymentDeadline: null,
    });
    expect(await buyer.pay(id)).toMatchObject({ __typename: 'IllegalState' });
    const delivered = await shop.deliver(await buyer.untilOrder(prepared.id, { shipments: [{ status: 'PREPARED' }] }));
    await buyer.returnItems(delivered.id, { A: 1 });
    await buyer.untilOrder(id, { status: 'RETURNED', payments: [] });
  });

  test('that has expired since it was applied is refused, and the cart is open again', async () => {
    await addCoupon('BRIEF', { validTo: shop.clock.inMs(60_000) });
    const cartId = await cartWith('BRIEF');
    const stock = await buyer.available('A');
    shop.clock.advance(61_000);
    expect(await buyer.checkOut(cartId)).toMatchObject({
      __typename: 'CouponInvalid',
      reason: 'EXPIRED',
      receipt: { status: 'REJECTED' },
    });
    await eventually(async () => expect((await buyer.cart(cartId))?.status).toBe('OPEN'));
    expect(await buyer.available('A')).toBe(stock);
    await buyer.run('removeCoupon', { cartId, code: 'BRIEF' });
    expect(orderOf(await buyer.checkOut(cartId))).toMatchObject({ discounts: [], total: gbp(999) });
  });

  test('whose last use two customers want at once goes to one of them', async () => {
    await addCoupon('LAST', { maxUses: 1 });
    const carts = await Promise.all(Array.from({ length: 4 }, () => cartWith('LAST')));
    const outcomes = await Promise.all(carts.map((cartId) => buyer.checkOut(cartId)));
    const orders = outcomes.filter(({ __typename }) => __typename === 'OrderPayload');
    expect(orders).toHaveLength(1);
    for (const outcome of outcomes.filter((it) => !orders.includes(it))) {
      expect(outcome).toMatchObject({ __typename: 'CouponInvalid', reason: 'USED_UP' });
    }
    await untilUsed('LAST', 1);
    for (const cartId of carts.filter((_, at) => outcomes[at]?.__typename !== 'OrderPayload')) {
      await eventually(async () => expect((await buyer.cart(cartId))?.status).toBe('OPEN'));
    }
    const cartId = await buyer.cartWith({ A: 1 });
    expect(await buyer.run('applyCoupon', { cartId, code: 'LAST' })).toMatchObject({ reason: 'USED_UP' });
  });

  test.each(['is cancelled', 'is not paid in time', 'cannot be had'])('of what %s can be used again', async (what) => {
    const code = `BACK-${what.replaceAll(' ', '-')}`;
    await addCoupon(code, { maxUses: 1 });
    if (what === 'cannot be had') {
      const [first, second] = [await buyer.cartWith({ RARE: 1 }), await cartWith(code, 'RARE')];
      await buyer.checkOut(first);
      expect(await buyer.checkOut(second)).toMatchObject({ __typename: 'InsufficientStock', sku: 'RARE' });
    } else {
      const { id } = orderOf(await buyer.checkOut(await cartWith(code)));
      await untilUsed(code, 1);
      if (what === 'is cancelled') await buyer.cancel(id);
      else shop.letPaymentsTimeOut();
      await buyer.untilOrder(id, { status: 'CANCELLED' });
    }
    await untilUsed(code, 0);
    expect(await buyer.checkOut(await cartWith(code))).toMatchObject({ __typename: 'OrderPayload' });
  });
});
