import { z } from 'zod';
import { streamIdOf } from '../../eventsourcing/aggregate.ts';
import type { RecordedEventOf } from '../../eventsourcing/event.ts';
import type { Projection } from '../../eventsourcing/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/read-table.ts';
import { cartEvents } from './events.ts';

const cartLineRow = z.object({ sku: z.string(), name: z.string(), quantity: z.number(), unitPriceMinor: z.number() });
export type CartLineRow = z.output<typeof cartLineRow>;

/** A cart as a screen shows it: one row is one screen. */
export const cartRow = z.object({
  id: z.string(),
  status: z.enum(['OPEN', 'CHECKING_OUT', 'CHECKED_OUT', 'ABANDONED', 'MERGED']),
  currency: z.string(),
  customerId: z.string().nullable(),
  lines: z.array(cartLineRow),
  version: z.number(),
  position: column.safeInt(),
  createdAt: column.instant(),
  updatedAt: column.instant(),
});
export type CartRow = z.output<typeof cartRow>;

const cartTable: ReadTable<CartRow> = { name: 'cart_view', key: 'id', row: cartRow };

type RecordedCartEvent = RecordedEventOf<(typeof cartEvents)[number]>;

export const cartProjection: Projection<CartRow> = {
  name: 'cart.carts',
  version: 1,
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
    const id = event.aggregateId;
    return { id, status: 'OPEN', currency, customerId, lines: [], version, position, createdAt: updatedAt, updatedAt };
  }
  return row === undefined ? undefined : { ...row, version, position, updatedAt, lines: evolveLines(row.lines, event) };
}

function evolveLines(lines: CartLineRow[], event: Exclude<RecordedCartEvent, { type: 'CartCreated' }>): CartLineRow[] {
  switch (event.type) {
    case 'ItemAddedToCart': {
      const { sku, name, quantity, unitPrice } = event.data;
      const present = lines.find((line) => line.sku === sku);
      const line = { sku, name, quantity: (present?.quantity ?? 0) + quantity, unitPriceMinor: unitPrice.amountMinor };
      return present === undefined ? [...lines, line] : lines.map((it) => (it === present ? line : it));
    }
    case 'ItemQuantityChanged': {
      const { sku, quantity } = event.data;
      return lines.map((line) => (line.sku === sku ? { ...line, quantity } : line));
    }
    case 'ItemRemovedFromCart':
      return lines.filter((line) => line.sku !== event.data.sku);
    case 'CartCleared':
      return [];
    default:
      return event satisfies never;
  }
}
