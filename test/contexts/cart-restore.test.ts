import { describe, expect, test } from 'vitest';
import type { CartCommand } from '../../src/contexts/cart/commands.ts';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { MAX_LINES, MAX_QUANTITY } from '../../src/contexts/cart/policy.ts';
import { type PastContents, restoreCart } from '../../src/contexts/cart/restore-commands.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import {
  abandoned,
  add,
  added,
  applyCoupon,
  CART,
  cancelCheckOut,
  change,
  checkOut,
  checkOutStarted,
  clear,
  coupon,
  couponApplied,
  couponRemoved,
  create,
  created,
  granting,
  handedOver,
  merged,
  moved,
  price,
  product,
  remove,
  reopened,
  selling,
} from '../support/carts.ts';
import { customer, GUEST, given, STAFF } from '../support/given.ts';
import { OneCart } from '../support/one-cart.ts';

const CARLA = customer('carla');
const BOB = customer('bob');

const restore = (lines: PastContents['lines'], couponCode: string | null = null, toVersion = 2): CartCommand => ({
  type: 'RestoreCart',
  data: { cartId: CART, toVersion, past: { lines, couponCode } },
});
type Restored = Extract<CartEvent, { type: 'CartRestored' }>['data'];
const restored = (skus: string[], changes: Partial<Restored> = {}): CartEvent => ({
  type: 'CartRestored',
  data: { toVersion: 2, skus, couponLeftOut: null, nextUndoAt: null, ...changes },
});
const removed = (sku: string, quantity: number): CartEvent => ({
  type: 'ItemRemovedFromCart',
  data: { sku, quantity },
});
const changed = (sku: string, previousQuantity: number, quantity: number): CartEvent => ({
  type: 'ItemQuantityChanged',
  data: { sku, quantity, previousQuantity },
});
const addedAt = (sku: string, quantity: number, amountMinor: number): CartEvent => ({
  type: 'ItemAddedToCart',
  data: { sku, name: `Product ${sku}`, quantity, unitPrice: price(amountMinor) },
});

describe('Restoring a cart', () => {
  test('takes out what came since, and puts back what went', () =>
    given(cartDecider, [created(), added('A', 2), added('B', 1), removed('A', 2)])
      .when(restore([moved('A', 2)]), selling(product('A'), product('B')))
      .thenEvents([removed('B', 1), added('A', 2), restored(['A'])]));

  test('puts lines in the order of then', () => {
    const events = [created(), added('A', 1), added('B', 1), removed('A', 1), added('A', 1)];
    given(cartDecider, events)
      .when(restore([moved('A', 1), moved('B', 1)], null, 3), selling(product('A'), product('B')))
      .thenEvents([restored(['A', 'B'], { toVersion: 3 })]);
    const after = [...events, restored(['A', 'B'])].reduce(cartDecider.evolve, cartDecider.initialState);
    expect(after.status === 'unknown' ? [] : [...after.lines.keys()]).toEqual(['A', 'B']);
  });

  test('is no change where nothing changed since', () =>
    given(cartDecider, [created(), added('A', 2), couponApplied('TEN')])
      .when(restore([moved('A', 2)], 'TEN', 3), granting(coupon('TEN')))
      .thenEvents([]));

  test('clears the cart where nothing was in it', () =>
    given(cartDecider, [created(), added('A', 2), added('B', 2)])
      .when(restore([], null, 1))
      .thenEvents([{ type: 'CartCleared', data: { lineCount: 2 } }, restored([], { toVersion: 1 })]));

  test('keeps the price of a line that was there all along, and asks for no more than it needs', () =>
    given(cartDecider, [created(), added('A', 5)])
      .when(restore([moved('A', 2)]), selling(product('A', { priceMinor: 999, available: 0, active: false })))
      .thenEvents([changed('A', 5, 2), restored(['A'])]));

  test('puts in anew what went, at the price of now', () =>
    given(cartDecider, [created(), added('B', 1)])
      .when(restore([moved('A', 2), moved('B', 1)]), selling(product('A', { priceMinor: 999 })))
      .thenEvents([addedAt('A', 2, 999), restored(['A', 'B'])]));

  test('gives a line its price of then again, if that is the price of now', () =>
    given(cartDecider, [created(), addedAt('A', 3, 300)])
      .when(restore([moved('A', 2, 250)]), selling(product('A', { priceMinor: 250 })))
      .thenEvents([removed('A', 3), addedAt('A', 2, 250), restored(['A'])]));

  test('gives a line whose price of then is over the price of now', () => {
    given(cartDecider, [created(), addedAt('A', 3, 300)])
      .when(restore([moved('A', 3, 250)]), selling(product('A', { priceMinor: 275 })))
      .thenEvents([removed('A', 3), addedAt('A', 3, 275), restored(['A'])]);
    given(cartDecider, [created(), addedAt('A', 3, 275)])
      .when(restore([moved('A', 2, 250)]), selling(product('A', { priceMinor: 275 })))
      .thenEvents([changed('A', 3, 2), restored(['A'])]);
  });

  test('leaves the price of a line alone that is not sold any more', () =>
    given(cartDecider, [created(), addedAt('A', 3, 300)])
      .when(restore([moved('A', 2, 250)]), selling(product('A', { priceMinor: 250, active: false })))
      .thenEvents([changed('A', 3, 2), restored(['A'])]));

  test.each([
    { what: 'is not there', facts: selling(), rejection: { code: 'NOT_FOUND', id: 'A' } },
    {
      what: 'is not sold any more',
      facts: selling(product('A', { active: false })),
      rejection: { code: 'ILLEGAL_STATE', state: 'INACTIVE' },
    },
    {
      what: 'is scarce',
      facts: selling(product('A', { available: 1 })),
      rejection: { code: 'INSUFFICIENT_STOCK', sku: 'A', requested: 2, available: 1 },
    },
    {
      what: 'is sold in another currency',
      facts: selling(product('A', { currency: 'EUR' })),
      rejection: { code: 'ILLEGAL_STATE', state: 'OTHER_CURRENCY' },
    },
  ])('is refused as a whole where a product $what', ({ facts, rejection }) =>
    given(cartDecider, [created(), added('B', 1)])
      .when(restore([moved('A', 2)]), facts)
      .thenRejected(rejection),
  );

  test('asks for all of the pieces, not only for those that are missing', () =>
    given(cartDecider, [created(), added('A', 3)])
      .when(restore([moved('A', 5)]), selling(product('A', { available: 4 })))
      .thenRejected({ code: 'INSUFFICIENT_STOCK', requested: 5, available: 4 }));

  test('is refused beyond the limits', () => {
    const many = Array.from({ length: MAX_LINES + 1 }, (_, at) => moved(`L${at}`, 1));
    given(cartDecider, [created()]).when(restore(many)).thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_LINES });
    given(cartDecider, [created()])
      .when(restore([moved('A', MAX_QUANTITY + 1)]), selling(product('A')))
      .thenRejected({ code: 'LIMIT_EXCEEDED', limit: MAX_QUANTITY });
  });

  test('brings the coupon of then back, instead of another', () => {
    const { facts } = granting(coupon('TEN'));
    given(cartDecider, [created(), couponApplied('TWO')])
      .when(restore([], 'TEN'), { facts })
      .thenEvents([couponRemoved('TWO'), couponApplied('TEN'), restored([])]);
    given(cartDecider, [created(), couponApplied('TWO')])
      .when(restore([]))
      .thenEvents([couponRemoved('TWO'), restored([])]);
  });

  test('leaves a coupon out that cannot be used any more, and says so', () =>
    given(cartDecider, [created(), couponApplied('TWO')])
      .when(restore([], 'TEN'), granting(coupon('TEN', { maxUses: 1, uses: 1 })))
      .thenEvents([couponRemoved('TWO'), restored([], { couponLeftOut: 'TEN' })]));

  test('reopens an abandoned cart', () =>
    given(cartDecider, [created(), added('A', 1), abandoned(1)])
      .when(restore([], null, 1))
      .thenEvents([reopened(1), removed('A', 1), restored([], { toVersion: 1 })]));

  test.each([
    { what: 'becoming an order', events: [checkOutStarted()], state: 'CHECKING_OUT' },
    { what: 'moving', events: [handedOver([moved('A', 2)])], state: 'MERGING' },
    { what: 'gone', events: [handedOver([moved('A', 2)]), merged()], state: 'MERGED' },
  ])('is refused while the cart is $what', ({ events, state }) =>
    given(cartDecider, [created(), added('A', 2), ...events])
      .when(restore([]), selling(product('A')))
      .thenRejected({ code: 'ILLEGAL_STATE', state }),
  );

  test('is for whoever the cart is for', () => {
    const events = [created('carla'), added('A', 2)];
    for (const actor of [BOB, GUEST]) {
      given(cartDecider, events)
        .when(restore([], null, 1), { actor })
        .thenRejected({ code: 'NOT_FOUND', id: CART });
    }
    for (const actor of [CARLA, STAFF]) {
      const { decision } = given(cartDecider, events).when(restore([], null, 1), { actor });
      expect(isRejection(decision)).toBe(false);
    }
    given(cartDecider, []).when(restore([])).thenRejected({ code: 'NOT_FOUND', id: CART });
  });

  test.each([0, -1, 1.5, 2 ** 31])('refuses the version %d', (toVersion) => {
    const input = { cartId: CART, toVersion, past: { lines: [], couponCode: null } };
    expect(restoreCart.input.safeParse(input).error?.issues.map(({ path }) => path)).toEqual([['toVersion']]);
  });

  test('refuses a version that the cart has not had', () => {
    const { error } = restoreCart.input.safeParse({ cartId: CART, toVersion: 7, past: null });
    expect(error?.issues).toMatchObject([{ path: ['past'], message: 'must be a version that the cart has had' }]);
  });
});

describe('Undoing', () => {
  /** What is in a cart, shortly. */
  const has = ({ state }: OneCart) =>
    state.status === 'unknown' ? '' : [...state.lines].map(([sku, { quantity }]) => `${sku}${quantity}`).join(' ');
  const cartOf = (...skus: string[]) => new OneCart(CARLA, ['A', 'B', 'C'], ['TEN', 'TWO']).with(CARLA, skus);
  const undone = async (cart: OneCart, actor = CARLA) => {
    const result = await cart.undo(actor);
    return isRejection(result) ? result : has(cart);
  };

  test('takes back the newest change, then the one before it, until nothing is left', async () => {
    const cart = cartOf('A', 'B', 'C');
    expect(await undone(cart)).toBe('A1 B1');
    expect(await undone(cart)).toBe('A1');
    expect(await undone(cart)).toBe('');
    expect(await undone(cart)).toMatchObject({ code: 'ILLEGAL_STATE', state: 'NOTHING_TO_UNDO' });
  });

  test('takes back what was changed between two undos before what was changed before the first', async () => {
    const cart = cartOf('A', 'B');
    expect(await undone(cart)).toBe('A1');
    cart.run(add('C', 1), CARLA);
    expect(has(cart)).toBe('A1 C1');
    expect(await undone(cart)).toBe('A1');
    expect(await undone(cart)).toBe('');
    expect(await undone(cart)).toMatchObject({ state: 'NOTHING_TO_UNDO' });
  });

  test('takes back all that one command did, a restoration too', async () => {
    const cart = cartOf('A', 'B');
    cart.run(clear, CARLA);
    expect(await undone(cart)).toBe('A1 B1');
    cart.restore(1, CARLA);
    expect(has(cart)).toBe('');
    expect(await undone(cart)).toBe('A1 B1');
    expect(await undone(cart)).toBe('A1');
  });

  test('takes back coupons', async () => {
    const cart = cartOf('A');
    cart.run(applyCoupon('TEN'), CARLA);
    cart.run(applyCoupon('TWO'), CARLA);
    await undone(cart);
    expect(cart.row?.coupon?.code).toBe('TEN');
    await undone(cart);
    expect(cart.row).toMatchObject({ coupon: null, lines: [{ sku: 'A' }] });
  });

  test('passes over what was nobody’s change: that the cart was abandoned, and reopened', async () => {
    const cart = cartOf('A', 'B');
    cart.abandon();
    expect(await undone(cart)).toBe('A1');
    expect(cart.log.slice(-3).map(({ type }) => type)).toEqual(['CartReopened', 'ItemRemovedFromCart', 'CartRestored']);
    cart.abandon();
    cart.run(change('A', 3), CARLA);
    expect(await undone(cart)).toBe('A1');
    expect(await undone(cart)).toBe('');
  });

  test('is of one’s own changes alone', async () => {
    const cart = cartOf('A');
    cart.run(add('B', 1), STAFF);
    expect(await undone(cart)).toMatchObject({
      code: 'ILLEGAL_STATE',
      state: 'NOT_YOURS',
      message: expect.stringMatching(/ItemAddedToCart, version 3.*STAFF made it.*restoreCart/),
    });
    expect(await undone(cart, STAFF)).toBe('A1');
    expect(await undone(cart, STAFF)).toMatchObject({ state: 'NOT_YOURS' });
    // What staff undid is their change now.
    expect(await undone(cart)).toMatchObject({ state: 'NOT_YOURS' });
    cart.run(add('C', 1), CARLA);
    expect(await undone(cart)).toBe('A1');
  });

  test('stops where others than the cart took part', async () => {
    const cart = cartOf('A');
    cart.run(checkOut({ customerId: 'carla' }), CARLA);
    cart.run(cancelCheckOut(), { kind: 'PROCESS', id: 'checkout' });
    const stop = { code: 'ILLEGAL_STATE', state: 'NOT_UNDOABLE', message: expect.stringContaining('restoreCart') };
    expect(await undone(cart)).toMatchObject(stop);
    cart.run(add('B', 1), CARLA);
    expect(await undone(cart)).toBe('A1');
    expect(await undone(cart)).toMatchObject(stop);
    cart.run({ type: 'MergeCarts', data: { cartId: CART, fromCartId: create.data.cartId } }, CARLA);
    expect(await undone(cart)).toMatchObject(stop);
  });

  test('is refused like any addition where something cannot be put back, and can be tried again', async () => {
    const cart = cartOf('A', 'B');
    cart.run(remove('A'), CARLA);
    cart.sell('A', { active: false });
    expect(await undone(cart)).toMatchObject({ code: 'ILLEGAL_STATE', state: 'INACTIVE' });
    expect(has(cart)).toBe('B1');
    cart.sell('A', { active: true });
    expect(await undone(cart)).toBe('A1 B1');
  });

  test('goes on also where nothing had to change', async () => {
    const cart = cartOf('A');
    cart.run(applyCoupon('TEN'), CARLA);
    cart.run({ type: 'RemoveCoupon', data: { cartId: CART, code: 'TEN' } }, CARLA);
    cart.coupons.set('TEN', coupon('TEN', { maxUses: 1, uses: 1 }));
    await undone(cart);
    expect(cart.log.at(-1)).toMatchObject({ type: 'CartRestored', data: { couponLeftOut: 'TEN' } });
    expect(await undone(cart)).toBe('A1');
    expect(await undone(cart)).toBe('');
  });

  test('of an empty history, or of a cart that is not there, is nothing', async () => {
    expect(await undone(cartOf())).toMatchObject({ state: 'NOTHING_TO_UNDO' });
    expect(await cartOf('A').undo(BOB)).toMatchObject({ code: 'NOT_FOUND' });
  });
});
