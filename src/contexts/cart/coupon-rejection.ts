const MEANINGS = {
  UNKNOWN: 'there is none with this code',
  NOT_YET: 'it is not valid yet',
  EXPIRED: 'it is not valid any more',
  USED_UP: 'it was used as often as it may be',
  OTHER_CURRENCY: 'it takes off an amount of another currency than that of the cart',
} as const;

export type CouponProblem = keyof typeof MEANINGS;

/** When and how often a coupon can be used; null for always, and for any number of orders. */
interface CouponLimits {
  readonly validFrom: Date | null;
  readonly validTo: Date | null;
  readonly maxUses: number | null;
  readonly uses: number;
}

/** Why a coupon cannot be used now; undefined if it can. */
export function problemOf({ validFrom, validTo, maxUses, uses }: CouponLimits, now: Date): CouponProblem | undefined {
  if (validFrom !== null && now < validFrom) return 'NOT_YET';
  if (validTo !== null && now >= validTo) return 'EXPIRED';
  return maxUses !== null && uses >= maxUses ? 'USED_UP' : undefined;
}

export const couponInvalid = (coupon: string, reason: CouponProblem) => ({
  code: 'COUPON_INVALID' as const,
  message: `The coupon ${coupon} cannot be used: ${MEANINGS[reason]}.`,
  coupon,
  reason,
});
