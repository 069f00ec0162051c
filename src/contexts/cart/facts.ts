import type { CouponRow } from './coupon-projection.ts';
import type { CartProductRow } from './product-copy.ts';

/** What carts are decided from: the products that catalog offers, and the shop's coupons. */
export type CartFact = CartProductRow | CouponRow;
export type CartFacts = ReadonlyMap<string, CartFact>;

export function productKey(sku: string): string {
  return `products:${sku}`;
}

export function couponKey(code: string): string {
  return `coupons:${code}`;
}

export function productIn(facts: CartFacts, sku: string): CartProductRow | undefined {
  const fact = facts.get(productKey(sku));
  return fact !== undefined && 'sku' in fact ? fact : undefined;
}

export function couponIn(facts: CartFacts, code: string): CouponRow | undefined {
  const fact = facts.get(couponKey(code));
  return fact !== undefined && 'code' in fact ? fact : undefined;
}
