import { describe, expect, test } from 'vitest';
import { type CartCommand, checkOutCart } from '../../src/contexts/cart/commands.ts';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import { type CartEvent, cartCheckOutStarted } from '../../src/contexts/cart/events.ts';
import { type CartRow, cartDiscounts, cartProjection, totalOf } from '../../src/contexts/cart/projection.ts';
import { protectedFields } from '../../src/eventsourcing/log/codec.ts';
import {
  ADDRESS,
  abandoned,
  add,
  added,
  applyCoupon,
  CART,
  cancelCheckOut,
  change,
  checkedOut,
  checkOut,
  checkOutCancelled,
  checkOutStarted,
  clear,
  completeCheckOut,
  coupon,
  couponApplied,
  couponRemoved,
  created,
  granting,
  handedOver,
  MERGE,
  merge,
  merged,
  moved,
  ORDER,
  OTHER_CART,
  OTHER_ORDER,
  price,
  product,
  remove,
  removeCoupon,
  reopened,
  selling,
} from '../support/carts.ts';
import { customer, GUEST, given, STAFF } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

const CARLA = customer('carla');
const process = { actor: { kind: 'PROCESS', id: 'checkout' } } as const;
const FILLED = [created(), added('A', 2)];
const CHECKING_OUT = [...FILLED, checkOutStarted()];
const CHECKED_OUT = [...CHECKING_OUT, checkedOut()];
const GIVEN_BACK = [...CHECKING_OUT, checkOutCancelled()];

describe('Checking out', () => {
  test('tells all that an order is made of', () =>
    given(cartDecider, [created(), added('A', 2), added('B', 1), couponApplied('TEN')])
      .when(checkOut(), { actor: GUEST })
      .thenEvents([
        checkOutStarted({
          lines: [moved('A', 2), moved('B', 1)],
          discounts: [{ code: 'TEN', label: 'Coupon TEN', amount: price(75) }],
          couponCode: 'TEN',
        }),
      ]));

  test("is done for the customer whose cart it is, by them or by staff; a guest's by whoever signed in", () => {
    for (const actor of [CARLA, STAFF]) {
      given(cartDecider, [created('carla'), added('A', 2)])
        .when(checkOut({ customerId: 'carla' }), { actor })
        .thenEvents([checkOutStarted({ customerId: 'carla', ownerId: 'carla' })]);
    }
    given(cartDecider, FILLED)
      .when(checkOut({ customerId: 'carla' }), { actor: CARLA })
      .thenEvents([checkOutStarted({ customerId: 'carla', ownerId: 'carla' })]);
  });

  test('is never done for somebody else', () => {
    given(cartDecider, [created('carla'), added('A', 2)])
      .when(checkOut({ customerId: 'dora' }), { actor: STAFF })
      .thenRejected({ code: 'FORBIDDEN' });
    given(cartDecider, FILLED)
      .when(checkOut({ customerId: 'dora' }), { actor: CARLA })
      .thenRejected({ code: 'FORBIDDEN' });
  });

  test("of another customer's cart tells nothing of it", () =>
    given(cartDecider, [created('carla'), added('A', 2)])
      .when(checkOut({ customerId: 'dora' }), { actor: customer('dora') })
      .thenRejected({ code: 'NOT_FOUND', id: CART }));

  test('reopens a cart that was abandoned', () =>
    given(cartDecider, [...FILLED, abandoned(1)])
      .when(checkOut())
      .thenEvents([reopened(1), checkOutStarted()]));

  test.each([
    { state: 'EMPTY', events: [created()] },
    { state: 'CHECKING_OUT', events: CHECKING_OUT },
    { state: 'CHECKED_OUT', events: CHECKED_OUT },
    { state: 'MERGING', events: [...FILLED, handedOver([moved('A', 2)])] },
    { state: 'MERGED', events: [...FILLED, handedOver([moved('A', 2)]), merged()] },
  ])('is refused: $state', ({ state, events }) =>
    given(cartDecider, events)
      .when(checkOut({ orderId: OTHER_ORDER }))
      .thenRejected({ code: 'ILLEGAL_STATE', state }),
  );

  test('is refused where there is no cart', () =>
    given(cartDecider, []).when(checkOut()).thenRejected({ code: 'NOT_FOUND', id: CART }));

  test('can be tried again, as another order', () => {
    given(cartDecider, GIVEN_BACK)
      .when(checkOut({ orderId: OTHER_ORDER }))
      .thenEvents([checkOutStarted({ orderId: OTHER_ORDER })]);
    given(cartDecider, GIVEN_BACK).when(checkOut()).thenRejected({ code: 'ILLEGAL_STATE', state: 'OPEN' });
  });

  test('comes to what can be paid at once, at most', () => {
    const worth = (amountMinor: number): CartEvent => ({
      type: 'ItemAddedToCart',
      data: { sku: 'A', name: 'Product A', quantity: 1, unitPrice: price(amountMinor) },
    });
    given(cartDecider, [created(), worth(1_000_000_000)])
      .when(checkOut())
      .thenEvents([checkOutStarted({ lines: [moved('A', 1, 1_000_000_000)] })]);
    given(cartDecider, [created(), added('B', 1), worth(1_000_000_000)])
      .when(checkOut())
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'TOO_LARGE' });
  });

  test.each([{ email: 'carla' }, { orderId: '1' }, { customerId: '' }, { shippingAddress: { ...ADDRESS, city: ' ' } }])(
    'refuses the input %j',
    (wrong) => {
      const { data } = checkOut();
      expect(checkOutCart.input.safeParse(data).success).toBe(true);
      expect(checkOutCart.input.safeParse({ ...data, ...wrong }).success).toBe(false);
    },
  );
});

describe('Where somebody lives and is written to', () => {
  test('is protected wherever it is stored, by the key of whom it belongs to', () => {
    const customers = { kind: 'personal', subject: 'customerId' };
    const expected = new Map([
      ['.email', customers],
      ['.shippingAddress', customers],
    ]);
    expect(protectedFields(checkOutCart.input)).toEqual(expected);
    expect(protectedFields(cartCheckOutStarted.data)).toEqual(expected);
  });

  test('is shown to staff alone, also of those who watch the cart', () => {
    const { email, shippingAddress, customerId } = cartCheckOutStarted.data.shape;
    for (const member of [email, shippingAddress, customerId])
      expect(member.meta()).toMatchObject({ audience: 'staff' });
  });
});

describe('A cart that is becoming an order', () => {
  const changes: CartCommand[] = [
    ...[add('A', 1), change('A', 1), remove('A'), clear, merge, applyCoupon('TEN'), removeCoupon('TEN')],
    { type: 'AbandonCart', data: { cartId: CART } },
    { type: 'HandOverCartLines', data: { cartId: CART, intoCartId: OTHER_CART, mergeId: MERGE, requestedBy: GUEST } },
    {
      type: 'TakeInCartLines',
      data: {
        ...{ cartId: CART, fromCartId: OTHER_CART, mergeId: MERGE, requestedBy: GUEST, currency: 'GBP' },
        lines: [moved('A', 1)],
      },
    },
    { type: 'CompleteCartMerge', data: { cartId: CART, mergeId: MERGE } },
    { type: 'TakeBackCartLines', data: { cartId: CART, mergeId: MERGE } },
  ];

  test.each(changes)('is changed by nobody: $type', (command) => {
    const context = { ...process, ...selling(product('A')) };
    given(cartDecider, CHECKING_OUT)
      .when(command, context)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'CHECKING_OUT' });
    given(cartDecider, CHECKED_OUT)
      .when(command, context)
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'CHECKED_OUT' });
  });

  test('becomes it, once', () => {
    given(cartDecider, CHECKING_OUT).when(completeCheckOut(), process).thenEvents([checkedOut()]);
    given(cartDecider, CHECKED_OUT).when(completeCheckOut(), process).thenEvents([]);
  });

  test('is given back, once', () => {
    given(cartDecider, CHECKING_OUT).when(cancelCheckOut(), process).thenEvents([checkOutCancelled()]);
    given(cartDecider, GIVEN_BACK).when(cancelCheckOut(), process).thenEvents([]);
    const again = [...GIVEN_BACK, checkOutStarted({ orderId: OTHER_ORDER })];
    given(cartDecider, again).when(cancelCheckOut(), process).thenEvents([]);
  });

  test('can be changed again when it was given back', () =>
    given(cartDecider, GIVEN_BACK)
      .when(add('A', 1), selling(product('A')))
      .thenEvents([added('A', 1)]));

  test('neither becomes another order, nor is given back for one', () => {
    for (const command of [completeCheckOut(OTHER_ORDER), cancelCheckOut(OTHER_ORDER)]) {
      given(cartDecider, FILLED).when(command, process).thenRejected({ code: 'ILLEGAL_STATE', state: 'OPEN' });
      given(cartDecider, CHECKING_OUT).when(command, process).thenRejected({ state: 'CHECKING_OUT' });
      given(cartDecider, CHECKED_OUT).when(command, process).thenRejected({ state: 'CHECKED_OUT' });
    }
    given(cartDecider, GIVEN_BACK).when(completeCheckOut(), process).thenRejected({ state: 'OPEN' });
    given(cartDecider, CHECKED_OUT).when(cancelCheckOut(), process).thenRejected({ state: 'CHECKED_OUT' });
  });
});

describe('Applying a coupon', () => {
  const now = new Date('2030-01-31T12:00:00Z');
  const apply = (row: Parameters<typeof granting>[0], events = FILLED) =>
    given(cartDecider, events).when(applyCoupon('TEN'), { ...granting(row), now });

  test('notes its terms', () => {
    apply(coupon('TEN')).thenEvents([couponApplied('TEN')]);
    apply(coupon('TEN', { percent: null, amountMinor: 500, currency: 'GBP' })).thenEvents([
      couponApplied('TEN', { percent: null, amount: price(500) }),
    ]);
  });

  test('works in an empty cart, too, and reopens one that was abandoned', () => {
    apply(coupon('TEN'), [created()]).thenEvents([couponApplied('TEN')]);
    apply(coupon('TEN'), [...FILLED, abandoned(1)]).thenEvents([reopened(1), couponApplied('TEN')]);
  });

  test('takes the place of another; the same changes nothing', () => {
    apply(coupon('TEN'), [...FILLED, couponApplied('OTHER')]).thenEvents([
      couponRemoved('OTHER'),
      couponApplied('TEN'),
    ]);
    apply(coupon('TEN'), [...FILLED, couponApplied('TEN')]).thenEvents([]);
  });

  test.each([
    ['NOT_YET', { validFrom: new Date(now.getTime() + 1) }],
    ['EXPIRED', { validTo: now }],
    ['USED_UP', { maxUses: 2, uses: 2 }],
    ['OTHER_CURRENCY', { percent: null, amountMinor: 500, currency: 'EUR' }],
  ] as const)('is refused: %s', (reason, changes) =>
    apply(coupon('TEN', changes)).thenRejected({ code: 'COUPON_INVALID', coupon: 'TEN', reason }),
  );

  test.each([{ validFrom: now }, { validTo: new Date(now.getTime() + 1) }, { maxUses: 2, uses: 1 }])(
    'is fine to the last: %j',
    (changes) => apply(coupon('TEN', changes)).thenEvents([couponApplied('TEN')]),
  );

  test('is refused for one that there is not', () =>
    given(cartDecider, FILLED).when(applyCoupon('TEN')).thenRejected({ code: 'COUPON_INVALID', reason: 'UNKNOWN' }));
});

describe('Removing a coupon', () => {
  test('goes on without', () =>
    given(cartDecider, [...FILLED, couponApplied('TEN')])
      .when(removeCoupon('TEN'))
      .thenEvents([couponRemoved('TEN')]));

  test('is refused for one that is not applied', () => {
    for (const events of [
      FILLED,
      [...FILLED, couponApplied('OTHER')],
      [...FILLED, couponApplied('TEN'), couponRemoved('TEN')],
    ]) {
      given(cartDecider, events).when(removeCoupon('TEN')).thenRejected({ code: 'NOT_FOUND', id: 'TEN' });
    }
  });
});

describe('The view of a cart', () => {
  const fold = (events: readonly CartEvent[]) => {
    const row = recorded('cart', CART, events).reduce<CartRow | undefined>(cartProjection.evolveRow, undefined);
    if (row === undefined) throw new Error('There is no cart.');
    return row;
  };

  test('shows what is taken off, of what is in it now', () => {
    const fiveOff = couponApplied('FIVE', { percent: null, amount: price(500) });
    const row = fold([...FILLED, couponApplied('TEN'), added('B', 2)]);
    expect(cartDiscounts(row)).toEqual([{ code: 'TEN', label: 'Coupon TEN', amount: price(100) }]);
    expect(totalOf(row)).toEqual(price(900));
    expect(totalOf(fold([...FILLED, fiveOff]))).toEqual(price(0));
    expect(totalOf(fold([created(), added('A', 1), fiveOff]))).toEqual(price(0));
    expect(totalOf(fold([...FILLED, fiveOff, couponRemoved('FIVE')]))).toEqual(price(500));
    expect(cartDiscounts(fold(FILLED))).toEqual([]);
  });

  test('shows what becomes of it', () => {
    expect(fold(FILLED)).toMatchObject({ status: 'OPEN', orderId: null });
    expect(fold(CHECKING_OUT)).toMatchObject({ status: 'CHECKING_OUT', orderId: ORDER, lines: [{ sku: 'A' }] });
    expect(fold(CHECKED_OUT)).toMatchObject({ status: 'CHECKED_OUT', orderId: ORDER, lines: [{ sku: 'A' }] });
    expect(fold(GIVEN_BACK)).toMatchObject({ status: 'OPEN', orderId: null, lines: [{ sku: 'A' }] });
  });

  test('has no coupon any more when its lines are in another cart', () => {
    const left = [...FILLED, couponApplied('TEN'), handedOver([moved('A', 2)]), merged()];
    expect(fold(left)).toMatchObject({ status: 'MERGED', coupon: null, lines: [] });
  });
});
