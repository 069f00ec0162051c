import { describe, expect, test } from 'vitest';
import { type CartEvent, cartEvents } from '../../src/contexts/cart/events.ts';
import { cartMessage, cartMessageSources, cartSourcesOf, cartStreamOf } from '../../src/contexts/cart/messages.ts';
import {
  ADDRESS,
  abandoned,
  added,
  CART,
  checkedOut,
  checkOutCancelled,
  checkOutStarted,
  couponApplied,
  couponRemoved,
  created,
  handedOver,
  MERGE,
  merged,
  mergeRequested,
  moved,
  ORDER,
  OTHER_CART,
  reopened,
  takenBack,
  takenIn,
} from '../support/carts.ts';
import { customer } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

const lines = [moved('A', 2)];
const events: CartEvent[] = [
  created('carla'),
  added('A', 1),
  { type: 'ItemQuantityChanged', data: { sku: 'A', quantity: 2, previousQuantity: 1 } },
  { type: 'ItemRemovedFromCart', data: { sku: 'A', quantity: 2 } },
  { type: 'CartCleared', data: { lineCount: 0 } },
  abandoned(0),
  reopened(0),
  mergeRequested,
  takenIn(lines),
  handedOver(lines),
  takenBack(),
  merged(),
  couponApplied('TEN'),
  couponRemoved('TEN'),
  checkOutStarted({ couponCode: 'TEN', ownerId: 'carla', customerId: 'carla' }),
  checkedOut(),
  checkOutCancelled(),
  { type: 'CartRestored', data: { toVersion: 2, skus: ['A'], couponLeftOut: null, nextUndoAt: null } },
];
const log = recorded('cart', CART, events).map((event) => ({
  ...event,
  commandId: MERGE,
  actor: customer('carla'),
}));
const intoOther = { mergeId: MERGE, fromCartId: CART, intoCartId: OTHER_CART };
const fromOther = { mergeId: MERGE, fromCartId: OTHER_CART, intoCartId: CART };

describe('What cart publishes', () => {
  test('is a message for each event, about the cart at its version', () => {
    expect(log.map(cartMessage)).toEqual([
      { type: 'CartOpened', cartId: CART, version: 1 },
      { type: 'CartChanged', cartId: CART, version: 2 },
      { type: 'CartChanged', cartId: CART, version: 3 },
      { type: 'CartChanged', cartId: CART, version: 4 },
      { type: 'CartChanged', cartId: CART, version: 5 },
      { type: 'CartAbandoned', cartId: CART, version: 6 },
      { type: 'CartReopened', cartId: CART, version: 7 },
      { type: 'CartMergeRequested', cartId: CART, version: 8, ...fromOther, requestedBy: customer('carla') },
      { type: 'CartLinesTakenIn', cartId: CART, version: 9, ...fromOther },
      { type: 'CartLinesHandedOver', cartId: CART, version: 10, ...intoOther, currency: 'GBP', lines },
      { type: 'CartLinesTakenBack', cartId: CART, version: 11, ...intoOther },
      { type: 'CartMerged', cartId: CART, version: 12, ...intoOther },
      { type: 'CartChanged', cartId: CART, version: 13 },
      { type: 'CartChanged', cartId: CART, version: 14 },
      {
        ...{ type: 'CartCheckOutRequested', cartId: CART, version: 15, orderId: ORDER, commandId: MERGE },
        ...{ customerId: 'carla', ownerId: 'carla', currency: 'GBP', lines, discounts: [], couponCode: 'TEN' },
        ...{ email: 'carla@example.org', shippingAddress: ADDRESS },
      },
      { type: 'CartCheckedOut', cartId: CART, version: 16, orderId: ORDER },
      { type: 'CartCheckOutCancelled', cartId: CART, version: 17, orderId: ORDER, reason: 'INSUFFICIENT_STOCK' },
      { type: 'CartChanged', cartId: CART, version: 18 },
    ]);
  });

  test('comes from all its events', () => {
    expect(new Set(events.map(({ type }) => type))).toEqual(new Set(cartEvents.map(({ type }) => type)));
    expect(new Set(cartMessageSources)).toEqual(new Set(events.map(({ type }) => type)));
  });

  test('can be asked for by type', () => {
    for (const event of log) expect(cartSourcesOf(cartMessage(event).type)).toContain(event.type);
    expect(cartSourcesOf('CartChanged')).toEqual([
      ...['ItemAddedToCart', 'ItemQuantityChanged', 'ItemRemovedFromCart', 'CartCleared'],
      ...['CouponApplied', 'CouponRemoved', 'CartRestored'],
    ]);
    expect(cartSourcesOf()).toEqual([]);
  });

  test('can be looked up in the stream of the cart', () => {
    expect(log.map(({ streamId }) => streamId)).toContain(cartStreamOf(CART));
  });
});
