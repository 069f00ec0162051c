import type { CartCommand } from '../../src/contexts/cart/commands.ts';
import type { CouponRow } from '../../src/contexts/cart/coupon-projection.ts';
import type { CouponTerms } from '../../src/contexts/cart/discounts.ts';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { type CartFact, couponKey, productKey } from '../../src/contexts/cart/facts.ts';
import type { CartProductRow } from '../../src/contexts/cart/product-copy.ts';
import type { Address, MovedLine } from '../../src/contexts/values.ts';

/** Words for tests about carts. */

export const CART = '11111111-1111-4111-8111-111111111111';
export const OTHER_CART = '22222222-2222-4222-8222-222222222222';
export const MERGE = '33333333-3333-4333-8333-333333333333';
export const OTHER_MERGE = '44444444-4444-4444-8444-444444444444';

export type ShoppersCommand = Extract<
  CartCommand,
  { type: 'AddItemToCart' | 'ChangeItemQuantity' | 'RemoveItemFromCart' | 'ClearCart' }
>;

export const price = (amountMinor: number, currency = 'GBP') => ({ amountMinor, currency });

export function product(sku: string, changes: Partial<CartProductRow> = {}): [string, CartProductRow] {
  const row = { name: `Product ${sku}`, priceMinor: 250, currency: 'GBP', active: true, available: 100_000 };
  return [sku, { sku, ...row, position: 1, ...changes }];
}

export const created = (customerId: string | null = null, currency = 'GBP'): CartEvent => ({
  type: 'CartCreated',
  data: { currency, customerId },
});
export const added = (sku: string, quantity: number): CartEvent => ({
  type: 'ItemAddedToCart',
  data: { sku, name: `Product ${sku}`, quantity, unitPrice: price(250) },
});
export const abandoned = (lineCount: number): CartEvent => ({ type: 'CartAbandoned', data: { lineCount } });
export const reopened = (lineCount: number): CartEvent => ({ type: 'CartReopened', data: { lineCount } });
export const mergeRequested: CartEvent = { type: 'CartMergeRequested', data: { fromCartId: OTHER_CART } };

/** The cart hands its lines over to the other one. */
export const handedOver = (lines: MovedLine[], mergeId = MERGE): CartEvent => ({
  type: 'CartLinesHandedOver',
  data: { mergeId, intoCartId: OTHER_CART, currency: 'GBP', lines },
});
/** The cart takes in lines of the other one. */
export const takenIn = (lines: MovedLine[], mergeId = MERGE): CartEvent => ({
  type: 'CartLinesTakenIn',
  data: { mergeId, fromCartId: OTHER_CART, lines },
});
export const takenBack = (mergeId = MERGE): CartEvent => ({
  type: 'CartLinesTakenBack',
  data: { mergeId, intoCartId: OTHER_CART },
});
export const merged = (mergeId = MERGE): CartEvent => ({
  type: 'CartMerged',
  data: { mergeId, intoCartId: OTHER_CART },
});

export const moved = (sku: string, quantity: number, amountMinor = 250): MovedLine => ({
  sku,
  name: `Product ${sku}`,
  quantity,
  unitPrice: price(amountMinor),
});

export const add = (sku: string, quantity: number, cartId = CART): ShoppersCommand => ({
  type: 'AddItemToCart',
  data: { cartId, sku, quantity },
});
export const change = (sku: string, quantity: number, cartId = CART): ShoppersCommand => ({
  type: 'ChangeItemQuantity',
  data: { cartId, sku, quantity },
});
export const remove = (sku: string, cartId = CART): ShoppersCommand => ({
  type: 'RemoveItemFromCart',
  data: { cartId, sku },
});
export const clear: ShoppersCommand = { type: 'ClearCart', data: { cartId: CART } };
export const create: CartCommand = { type: 'CreateCart', data: { cartId: CART, currency: 'GBP' } };
export const merge: CartCommand = { type: 'MergeCarts', data: { cartId: CART, fromCartId: OTHER_CART } };
export const selling = (...products: [string, CartProductRow][]) => ({
  facts: new Map<string, CartFact>(products.map(([sku, row]) => [productKey(sku), row])),
});

export const ORDER = '55555555-5555-4555-8555-555555555555';
export const OTHER_ORDER = '66666666-6666-4666-8666-666666666666';

export const ADDRESS: Address = {
  name: 'Carla Carter',
  street: '1 High Street',
  city: 'London',
  postalCode: 'N1 9GU',
  country: 'GB',
};

/** A coupon that takes off 10 percent, whenever and however often. */
export const coupon = (code: string, changes: Partial<CouponRow> = {}): CouponRow => ({
  ...{ code, label: `Coupon ${code}`, percent: 10, amountMinor: null, currency: null },
  ...{ validFrom: null, validTo: null, maxUses: null, uses: 0, version: 1, position: 1 },
  ...changes,
});
export const granting = (...coupons: CouponRow[]) => ({
  facts: new Map<string, CartFact>(coupons.map((row) => [couponKey(row.code), row])),
});
export const couponApplied = (code: string, changes: Partial<CouponTerms> = {}): CartEvent => ({
  type: 'CouponApplied',
  data: { code, label: `Coupon ${code}`, percent: 10, amount: null, ...changes },
});
export const couponRemoved = (code: string): CartEvent => ({ type: 'CouponRemoved', data: { code } });
export const applyCoupon = (code: string): CartCommand => ({ type: 'ApplyCoupon', data: { cartId: CART, code } });
export const removeCoupon = (code: string): CartCommand => ({ type: 'RemoveCoupon', data: { cartId: CART, code } });

type CheckOutData = Extract<CartCommand, { type: 'CheckOutCart' }>['data'];
type CheckOutStarted = Extract<CartEvent, { type: 'CartCheckOutStarted' }>['data'];

export const checkOut = (changes: Partial<CheckOutData> = {}): CartCommand => ({
  type: 'CheckOutCart',
  data: {
    ...{ cartId: CART, orderId: ORDER, customerId: CART, email: 'carla@example.org', shippingAddress: ADDRESS },
    ...changes,
  },
});
export const completeCheckOut = (orderId = ORDER): CartCommand => ({
  type: 'CompleteCartCheckOut',
  data: { cartId: CART, orderId },
});
export const cancelCheckOut = (orderId = ORDER): CartCommand => ({
  type: 'CancelCartCheckOut',
  data: { cartId: CART, orderId, reason: 'INSUFFICIENT_STOCK' },
});
export const checkOutStarted = (changes: Partial<CheckOutStarted> = {}): CartEvent => ({
  type: 'CartCheckOutStarted',
  data: {
    ...{ orderId: ORDER, customerId: CART, ownerId: null, currency: 'GBP', lines: [moved('A', 2)] },
    ...{ discounts: [], couponCode: null, email: 'carla@example.org', shippingAddress: ADDRESS },
    ...changes,
  },
});
export const checkedOut = (orderId = ORDER): CartEvent => ({ type: 'CartCheckedOut', data: { orderId } });
export const checkOutCancelled = (orderId = ORDER): CartEvent => ({
  type: 'CartCheckOutCancelled',
  data: { orderId, reason: 'INSUFFICIENT_STOCK' },
});
