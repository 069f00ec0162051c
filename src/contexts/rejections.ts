/** Rejections that several contexts know. */

export const insufficientStock = (sku: string, requested: number, available: number) => ({
  code: 'INSUFFICIENT_STOCK' as const,
  message: `${requested} of ${sku} were asked for, but ${available} are available.`,
  sku,
  requested,
  available,
});

export const limitExceeded = (limit: number, message: string) => ({ code: 'LIMIT_EXCEEDED' as const, message, limit });

export const currencyMismatch = (expected: string, actual: string) => ({
  code: 'CURRENCY_MISMATCH' as const,
  message: `The cart is in ${expected}, but the product is sold in ${actual}.`,
  expected,
  actual,
});
