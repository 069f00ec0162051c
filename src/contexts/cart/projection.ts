import { z } from 'zod';
import type { RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import { type Discount, type Money, type MovedLine, money } from '../values.ts';
import { type CouponTerms, discountsOf } from './discounts.ts';
import { cartEvents } from './events.ts';

const cartLineRow = z.object({ sku: z.string(), name: z.string(), quantity: z.number(), unitPriceMinor: z.number() });
export type CartLineRow = z.output<typeof cartLineRow>;

const couponTerms: z.ZodType<CouponTerms> = z.object({
  code: z.string(),
  label: z.string(),
  percent: z.number().nullable(),
  amount: money.nullable(),
});

/** A cart as a screen shows it: one row is one screen. */
export const cartRow = z.object({
  id: z.string(),
  status: z.enum(['OPEN', 'CHECKING_OUT', 'CHECKED_OUT', 'ABANDONED', 'MERGING', 'MERGED']),
  currency: z.string(),
  customerId: z.string().nullable(),
  mergedInto: z.string().nullable(),
  /** The order that it becomes, or became. */
  orderId: z.string().nullable(),
  lines: z.array(cartLineRow),
  coupon: couponTerms.nullable(),
  version: z.number(),
  position: column.safeInt(),
  createdAt: column.instant(),
  updatedAt: column.instant(),
});
export type CartRow = z.output<typeof cartRow>;

const cartTable: ReadTable<CartRow> = { name: 'cart_view', key: 'id', row: cartRow };

export function totalOfLine({ quantity, unitPriceMinor }: CartLineRow): number {
  return quantity * unitPriceMinor;
}

export function subtotalOf({ lines, currency }: CartRow): Money {
  return { amountMinor: lines.reduce((sum, line) => sum + totalOfLine(line), 0), currency };
}

export function cartDiscounts(cart: CartRow): Discount[] {
  return discountsOf(cart.coupon, subtotalOf(cart));
}

/** The subtotal without what is taken off. */
export function totalOf(cart: CartRow): Money {
  const { amountMinor, currency } = subtotalOf(cart);
  return {
    amountMinor: cartDiscounts(cart).reduce((rest, { amount }) => rest - amount.amountMinor, amountMinor),
    currency,
  };
}

type RecordedCartEvent = RecordedEventOf<(typeof cartEvents)[number]>;

export const cartProjection: Projection<CartRow> = {
  name: 'cart.carts',
  version: 3,
  table: cartTable,
  eventTypes: cartEvents.map(({ type }) => type),
  keyOf: (event) => event.aggregateId,
  evolveRow: (row, event) => evolve(row, event as RecordedCartEvent),
  streamsOf: ({ id }) => [streamIdOf('cart', id)],
};

function evolve(row: CartRow | undefined, event: RecordedCartEvent): CartRow | undefined {
  const { version, position, recordedAt: updatedAt } = event;
  if (event.type === 'CartCreated') {
    const { currency, customerId } = event.data;
    const beginning = { id: event.aggregateId, status: 'OPEN', mergedInto: null, orderId: null } as const;
    return {
      ...beginning,
      lines: [],
      coupon: null,
      currency,
      customerId,
      version,
      position,
      createdAt: updatedAt,
      updatedAt,
    };
  }
  return row === undefined ? undefined : { ...row, version, position, updatedAt, ...changesOf(row.lines, event) };
}

type CartChange = Exclude<RecordedCartEvent, { type: 'CartCreated' }>;

function changesOf(lines: CartLineRow[], event: CartChange): Partial<CartRow> {
  switch (event.type) {
    case 'ItemAddedToCart':
      return { lines: withAdded(lines, event.data) };
    case 'ItemQuantityChanged': {
      const { sku, quantity } = event.data;
      return { lines: lines.map((line) => (line.sku === sku ? { ...line, quantity } : line)) };
    }
    case 'ItemRemovedFromCart':
      return { lines: lines.filter((line) => line.sku !== event.data.sku) };
    case 'CartCleared':
      return { lines: [] };
    case 'CartAbandoned':
      return { status: 'ABANDONED' };
    case 'CartReopened':
    case 'CartLinesTakenBack':
      return { status: 'OPEN' };
    case 'CartMergeRequested':
      return {};
    case 'CartLinesHandedOver':
      return { status: 'MERGING' };
    case 'CartLinesTakenIn':
      return { lines: event.data.lines.reduce(withAdded, lines) };
    case 'CartMerged':
      return { status: 'MERGED', lines: [], coupon: null, mergedInto: event.data.intoCartId };
    case 'CouponApplied':
      return { coupon: event.data };
    case 'CouponRemoved':
      return { coupon: null };
    case 'CartCheckOutStarted':
      return { status: 'CHECKING_OUT', orderId: event.data.orderId };
    case 'CartCheckedOut':
      return { status: 'CHECKED_OUT' };
    case 'CartCheckOutCancelled':
      return { status: 'OPEN', orderId: null };
    case 'CartRestored':
      return { lines: inOrder(lines, event.data.skus) };
    default:
      return event satisfies never;
  }
}

function withAdded(lines: CartLineRow[], { sku, name, quantity, unitPrice }: MovedLine): CartLineRow[] {
  const present = lines.find((line) => line.sku === sku);
  const line = { sku, name, quantity: (present?.quantity ?? 0) + quantity, unitPriceMinor: unitPrice.amountMinor };
  return present === undefined ? [...lines, line] : lines.map((it) => (it === present ? line : it));
}

/** The same lines in another order. */
function inOrder(lines: CartLineRow[], skus: readonly string[]): CartLineRow[] {
  const places = new Map(skus.map((sku, place) => [sku, place]));
  return lines.toSorted((a, b) => (places.get(a.sku) ?? skus.length) - (places.get(b.sku) ?? skus.length));
}
