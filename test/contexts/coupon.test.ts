import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { addCoupon, type CouponCommand, redeemCoupon } from '../../src/contexts/cart/coupon-commands.ts';
import { couponDecider } from '../../src/contexts/cart/coupon-decider.ts';
import type { CouponEvent } from '../../src/contexts/cart/coupon-events.ts';
import { type CouponRow, couponProjection } from '../../src/contexts/cart/coupon-projection.ts';
import { discountsOf } from '../../src/contexts/cart/discounts.ts';
import { couponMessage, couponSourcesOf } from '../../src/contexts/cart/messages.ts';
import { ORDER, OTHER_ORDER, price } from '../support/carts.ts';
import { given } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

type Added = Extract<CouponEvent, { type: 'CouponAdded' }>['data'];

const plain = { code: 'TEN', label: 'Ten percent', percent: 10, amount: null };
const added = (changes: Partial<Added> = {}): CouponEvent => ({
  type: 'CouponAdded',
  data: { ...plain, validFrom: null, validTo: null, maxUses: null, ...changes },
});
const redeemed = (orderId = ORDER): CouponEvent => ({ type: 'CouponRedeemed', data: { code: 'TEN', orderId } });
const released = (orderId = ORDER): CouponEvent => ({ type: 'CouponReleased', data: { code: 'TEN', orderId } });
const redeem = (orderId = ORDER): CouponCommand => ({ type: 'RedeemCoupon', data: { code: 'TEN', orderId } });
const release = (orderId = ORDER): CouponCommand => ({ type: 'ReleaseCoupon', data: { code: 'TEN', orderId } });
const FROM = '2030-01-01T00:00:00.000Z';
const TO = '2030-02-01T00:00:00.000Z';
const justBefore = (instant: string) => ({ now: new Date(Date.parse(instant) - 1) });
const on = (instant: string) => ({ now: new Date(instant) });

describe('Adding a coupon', () => {
  test('tells its terms', () => {
    given(couponDecider, [])
      .when({ type: 'AddCoupon', data: { ...plain, label: ' Ten percent ' } })
      .thenEvents([added()]);
    const limited = { validFrom: FROM, validTo: TO, maxUses: 3 };
    given(couponDecider, [])
      .when({ type: 'AddCoupon', data: { code: 'TEN', label: 'Ten percent', percent: 10, ...limited } })
      .thenEvents([added(limited)]);
    given(couponDecider, [])
      .when({ type: 'AddCoupon', data: { ...plain, percent: null, amount: price(500) } })
      .thenEvents([added({ percent: null, amount: price(500) })]);
  });

  test('is refused the second time', () =>
    given(couponDecider, [added()])
      .when({ type: 'AddCoupon', data: plain })
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'OPEN' }));

  test.each([
    [{}, true],
    [{ percent: 100 }, true],
    [{ percent: null, amount: price(1) }, true],
    [{ validFrom: FROM, validTo: TO, maxUses: 1 }, true],
    [{ validTo: FROM }, true],
    [{ percent: 0 }, false],
    [{ percent: 101 }, false],
    [{ percent: 1.5 }, false],
    [{ percent: null }, false],
    [{ amount: price(1) }, false],
    [{ percent: null, amount: price(-1) }, false],
    [{ validFrom: TO, validTo: FROM }, false],
    [{ validFrom: FROM, validTo: FROM }, false],
    [{ maxUses: 0 }, false],
    [{ label: ' ' }, false],
    [{ code: '' }, false],
    [{ code: 'TEN PERCENT' }, false],
    [{ code: 'X'.repeat(41) }, false],
  ])('takes the input %j: %s', (changes, isGood) => {
    expect(addCoupon.input.safeParse({ ...plain, ...changes }).success).toBe(isGood);
  });

  test('knows its code in capitals or not', () => {
    expect(addCoupon.input.parse({ ...plain, code: ' welcome-10 ' }).code).toBe('WELCOME-10');
    const data = redeemCoupon.input.parse({ code: 'ten', orderId: ORDER });
    expect(redeemCoupon.aggregateId(data)).toBe('TEN');
  });
});

describe('Redeeming a coupon', () => {
  test('uses it for an order, once', () => {
    given(couponDecider, [added()]).when(redeem()).thenEvents([redeemed()]);
    given(couponDecider, [added(), redeemed()]).when(redeem()).thenEvents([]);
    given(couponDecider, [added(), redeemed()])
      .when(redeem(OTHER_ORDER))
      .thenEvents([redeemed(OTHER_ORDER)]);
  });

  test('gives the last use to one of two orders, and a repeat of that one changes nothing', () => {
    const last = [added({ maxUses: 2 }), redeemed('another order'), redeemed()];
    given(couponDecider, last)
      .when(redeem(OTHER_ORDER))
      .thenRejected({ code: 'COUPON_INVALID', coupon: 'TEN', reason: 'USED_UP' });
    given(couponDecider, last).when(redeem()).thenEvents([]);
  });

  test('gives a use that came back to another order, and not to the same again', () => {
    const cameBack = [added({ maxUses: 1 }), redeemed(), released()];
    given(couponDecider, cameBack)
      .when(redeem(OTHER_ORDER))
      .thenEvents([redeemed(OTHER_ORDER)]);
    given(couponDecider, cameBack).when(redeem()).thenRejected({ code: 'ILLEGAL_STATE', state: 'RELEASED' });
  });

  test('works from the one instant on, up to the other', () => {
    const events = [added({ validFrom: FROM, validTo: TO })];
    given(couponDecider, events).when(redeem(), justBefore(FROM)).thenRejected({ reason: 'NOT_YET' });
    given(couponDecider, events).when(redeem(), on(FROM)).thenEvents([redeemed()]);
    given(couponDecider, events).when(redeem(), justBefore(TO)).thenEvents([redeemed()]);
    given(couponDecider, events).when(redeem(), on(TO)).thenRejected({ reason: 'EXPIRED' });
    given(couponDecider, [...events, redeemed()])
      .when(redeem(), on(TO))
      .thenEvents([]);
  });

  test('is refused for a coupon that there is not', () =>
    given(couponDecider, []).when(redeem()).thenRejected({ code: 'COUPON_INVALID', reason: 'UNKNOWN' }));
});

describe('Releasing a coupon', () => {
  test('gives its use back, once', () => {
    given(couponDecider, [added(), redeemed()]).when(release()).thenEvents([released()]);
    given(couponDecider, [added(), redeemed(), released()]).when(release()).thenEvents([]);
  });

  test('changes nothing where the order did not use it', () =>
    given(couponDecider, [added(), redeemed(OTHER_ORDER)])
      .when(release())
      .thenEvents([]));

  test('is refused for a coupon that there is not', () =>
    given(couponDecider, []).when(release()).thenRejected({ code: 'NOT_FOUND', id: 'TEN' }));
});

describe('The view of a coupon', () => {
  const fold = (events: readonly CouponEvent[]) =>
    recorded('coupon', 'TEN', events).reduce<CouponRow | undefined>(couponProjection.evolveRow, undefined);

  test('shows its terms and its uses', () => {
    expect(fold([added({ validFrom: FROM, validTo: TO, maxUses: 3 })])).toEqual({
      ...{ code: 'TEN', label: 'Ten percent', percent: 10, amountMinor: null, currency: null },
      ...{ validFrom: new Date(FROM), validTo: new Date(TO), maxUses: 3, uses: 0, version: 1, position: 1 },
    });
    expect(fold([added({ percent: null, amount: price(500) })])).toMatchObject({
      ...{ percent: null, amountMinor: 500, currency: 'GBP', validFrom: null, validTo: null, maxUses: null },
    });
    expect(fold([added(), redeemed(), redeemed(OTHER_ORDER), released()])).toMatchObject({ uses: 1, version: 4 });
  });

  test('is that of its own stream, and of nothing that was not added', () => {
    const row = fold([added()]);
    expect(row && couponProjection.streamsOf(row)).toEqual(['coupon-TEN']);
    expect(fold([redeemed()])).toBeUndefined();
  });
});

test('Processes are told of uses', () => {
  const messages = recorded('coupon', 'TEN', [added(), redeemed(), released()]).map(couponMessage);
  expect(messages).toEqual([
    undefined,
    { type: 'CouponRedeemed', code: 'TEN', orderId: ORDER },
    { type: 'CouponReleased', code: 'TEN', orderId: ORDER },
  ]);
  expect(couponSourcesOf('CouponRedeemed')).toEqual(['CouponRedeemed']);
  expect(couponSourcesOf('CouponRedeemed', 'CouponReleased')).toEqual(['CouponRedeemed', 'CouponReleased']);
});

describe('What a coupon takes off', () => {
  const off = (terms: Partial<typeof plain> | { percent: null; amount: ReturnType<typeof price> }, subtotal: number) =>
    discountsOf({ ...plain, ...terms }, price(subtotal)).map(({ amount }) => amount.amountMinor);

  test.each([
    [10, 0, 0],
    [10, 1_000, 100],
    [10, 999, 99],
    [33, 100, 33],
    [100, 12_345, 12_345],
    [1, 99, 0],
  ])('is %d percent of %d, rounded down: %d', (percent, subtotal, expected) =>
    expect(off({ percent }, subtotal)).toEqual([expected]),
  );

  test('is an amount, but never more than there is to pay', () => {
    expect(off({ percent: null, amount: price(500) }, 1_000)).toEqual([500]);
    expect(off({ percent: null, amount: price(500) }, 300)).toEqual([300]);
  });

  test('is nothing without one', () => expect(discountsOf(null, price(1_000))).toEqual([]));

  test('is exact for every amount', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), fc.maxSafeNat(), (percent, subtotal) => {
        expect(off({ percent }, subtotal)).toEqual([Number((BigInt(subtotal) * BigInt(percent)) / 100n)]);
      }),
    );
  });
});
