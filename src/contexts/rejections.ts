/** Rejections that several contexts know. */

export const insufficientStock = (sku: string, requested: number, available: number) => ({
  code: 'INSUFFICIENT_STOCK' as const,
  message: `${requested} of "${sku}" were asked for, but ${available} are available.`,
  sku,
  requested,
  available,
});

export const limitExceeded = (limit: number, message: string) => ({ code: 'LIMIT_EXCEEDED' as const, message, limit });

/** @param what has the other currency: `the product is sold` */
export const currencyMismatch = (what: string, expected: string, actual: string) => ({
  code: 'CURRENCY_MISMATCH' as const,
  message: `The cart is in ${expected}, but ${what} in ${actual}.`,
  expected,
  actual,
});

/** @param paymentId the payment that came to nothing; null where none was even begun */
export const paymentDeclined = (reason: string, orderId: string, paymentId: string | null) => ({
  code: 'PAYMENT_DECLINED' as const,
  message: `The payment came to nothing (${reason}). ${DECLINED[reason] ?? 'Pay with something else, before the order runs out of time.'}`,
  reason,
  orderId,
  paymentId,
});

const DECLINED: Readonly<Record<string, string>> = {
  TIMED_OUT: 'The order was cancelled, for it was not paid in time. What may still be taken is paid back.',
  CANCELLED: 'The order was cancelled. What may still be taken is paid back.',
  OUT_OF_STOCK: 'What was ordered went to others meanwhile. What was taken is paid back.',
};
