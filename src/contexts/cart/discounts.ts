import type { Discount, Money } from '../values.ts';

/** What a coupon grants: a percentage, or an amount. */
export interface CouponTerms {
  readonly code: string;
  readonly label: string;
  readonly percent: number | null;
  readonly amount: Money | null;
}

/** What is taken off: never more than there is to pay, and of a percentage whole units, rounded down. */
export function discountsOf(coupon: CouponTerms | null, subtotal: Money): Discount[] {
  if (coupon === null) return [];
  const { code, label, percent, amount } = coupon;
  const granted = percent === null ? (amount?.amountMinor ?? 0) : percentOf(subtotal.amountMinor, percent);
  const amountMinor = Math.min(granted, subtotal.amountMinor);
  return [{ code, label, amount: { amountMinor, currency: subtotal.currency } }];
}

/** In two parts, so that it stays exact for every amount that is. */
function percentOf(amountMinor: number, percent: number): number {
  return Math.floor(amountMinor / 100) * percent + Math.floor(((amountMinor % 100) * percent) / 100);
}
