import { z } from 'zod';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import { type CatalogMessage, catalogMessage, catalogMessageSources } from '../catalog/messages.ts';

/** What cart knows of a product: its own copy of what catalog publishes. */
export const cartProductRow = z.object({
  sku: z.string(),
  name: z.string(),
  priceMinor: column.safeInt(),
  currency: z.string(),
  active: z.boolean(),
  available: z.number(),
  position: column.safeInt(),
});
export type CartProductRow = z.output<typeof cartProductRow>;

export const cartProductTable: ReadTable<CartProductRow> = { name: 'cart_product', key: 'sku', row: cartProductRow };

export const cartProductProjection: Projection<CartProductRow> = {
  name: 'cart.products',
  version: 1,
  table: cartProductTable,
  eventTypes: catalogMessageSources,
  keyOf: (event) => catalogMessage(event).sku,
  evolveRow: (row, event) => evolve(row, catalogMessage(event), event.position),
  streamsOf: ({ sku }) => [streamIdOf('product', sku), streamIdOf('stock', sku)],
};

function evolve(
  row: CartProductRow | undefined,
  message: CatalogMessage,
  position: number,
): CartProductRow | undefined {
  if (message.type === 'ProductOffered') {
    const { sku, name, priceMinor, currency } = message;
    return { sku, name, priceMinor, currency, active: true, available: 0, position };
  }
  if (row === undefined) return undefined;
  switch (message.type) {
    case 'ProductRepriced':
      return { ...row, position, priceMinor: message.priceMinor, currency: message.currency };
    case 'ProductWithdrawn':
      return { ...row, position, active: false };
    case 'StockLevelChanged':
      return { ...row, position, available: message.available };
    default:
      return message satisfies never;
  }
}
