import type { StockCommand } from '../../src/contexts/catalog/commands.ts';
import type { StockEvent } from '../../src/contexts/catalog/events.ts';

/** Words for tests about stock. */

export const ORDER = '11111111-1111-4111-8111-111111111111';
export const OTHER_ORDER = '22222222-2222-4222-8222-222222222222';
export const THIRD_ORDER = '33333333-3333-4333-8333-333333333333';
export const RETURN = '44444444-4444-4444-8444-444444444444';
export const OTHER_RETURN = '55555555-5555-4555-8555-555555555555';

/** An hour of the day on which everything happens. */
export const at = (hour: number) => new Date(Date.UTC(2030, 0, 31, hour));
export const iso = (hour: number) => at(hour).toISOString();

export const opened = (quantity: number): StockEvent => ({ type: 'StockOpened', data: { sku: 'A', quantity } });
export const adjusted = (delta: number, quantity: number, available = quantity): StockEvent => ({
  type: 'StockAdjusted',
  data: { sku: 'A', delta, quantity, available, reason: 'count' },
});
export const reserved = (
  orderId: string,
  quantity: number,
  available: number,
  hour = 13,
  concludes = true,
): StockEvent => ({
  type: 'StockReserved',
  data: { sku: 'A', orderId, quantity, available, expiresAt: iso(hour), concludes },
});
export const expired = (orderId: string, quantity: number, available: number): StockEvent => ({
  type: 'StockReservationExpired',
  data: { sku: 'A', orderId, quantity, available },
});
export const committed = (orderId: string, quantity: number, available: number, concludes = true): StockEvent => ({
  type: 'StockCommitted',
  data: { sku: 'A', orderId, quantity, available, concludes },
});
export const released = (orderId: string, quantity: number, available: number, concludes = true): StockEvent => ({
  type: 'StockReleased',
  data: { sku: 'A', orderId, quantity, available, reason: 'NOT_PAID', concludes },
});
export const restocked = (orderId: string, quantity: number, available: number, returnId = RETURN): StockEvent => ({
  type: 'StockRestocked',
  data: { sku: 'A', orderId, returnId, quantity, available, concludes: true },
});

const lines = (quantity: number) => [{ sku: 'A', quantity }];

export const open = (quantity: number): StockCommand => ({ type: 'OpenStock', data: { sku: 'A', quantity } });
export const adjust = (delta: number): StockCommand => ({
  type: 'AdjustStock',
  data: { sku: 'A', delta, reason: 'count' },
});
export const reserve = (orderId: string, quantity: number, hour = 13): StockCommand => ({
  type: 'ReserveStock',
  data: { orderId, lines: lines(quantity), expiresAt: iso(hour), concludes: true },
});
export const commit = (orderId: string, quantity = 1): StockCommand => ({
  type: 'CommitStock',
  data: { orderId, lines: lines(quantity), concludes: true },
});
export const release = (orderId: string, quantity = 1): StockCommand => ({
  type: 'ReleaseStock',
  data: { orderId, lines: lines(quantity), reason: 'NOT_PAID', concludes: true },
});
export const restock = (orderId: string, quantity: number, returnId = RETURN): StockCommand => ({
  type: 'RestockReturn',
  data: { orderId, returnId, lines: lines(quantity), concludes: true },
});
