import { z } from 'zod';
import type { RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import { productEvents, stockEvents } from './events.ts';

/** A product as the shop shows it, folded from the product's stream and its stock's. */
export const productRow = z.object({
  sku: z.string(),
  name: z.string(),
  sortName: z.string(),
  searchText: z.string(),
  description: z.string().nullable(),
  priceMinor: column.safeInt(),
  currency: z.string(),
  active: z.boolean(),
  version: z.number(),
  available: z.number(),
  stockVersion: z.number(),
  position: column.safeInt(),
  addedPosition: column.safeInt(),
});
export type ProductRow = z.output<typeof productRow>;

const productTable: ReadTable<ProductRow> = { name: 'product_view', key: 'sku', row: productRow };

type CatalogEvent = RecordedEventOf<(typeof productEvents)[number] | (typeof stockEvents)[number]>;

export const productProjection: Projection<ProductRow> = {
  name: 'catalog.products',
  version: 1,
  table: productTable,
  eventTypes: [...productEvents, ...stockEvents].map(({ type }) => type),
  keyOf: (event) => event.aggregateId,
  evolveRow: (row, event) => evolve(row, event as CatalogEvent),
  streamsOf: ({ sku }) => [streamIdOf('product', sku), streamIdOf('stock', sku)],
  // Each event of a stock tells how much there is, and a stock may have very many.
  isSaidByNewest: (streamId) => streamId.startsWith(streamIdOf('stock', '')),
};

function evolve(row: ProductRow | undefined, event: CatalogEvent): ProductRow | undefined {
  if (event.type === 'ProductAdded') return added(event);
  if (row === undefined) return undefined;
  const { position, version } = event;
  switch (event.type) {
    case 'ProductPriceChanged': {
      const { amountMinor, currency } = event.data.price;
      return { ...row, version, position, priceMinor: amountMinor, currency };
    }
    case 'ProductDeactivated':
      return { ...row, version, position, active: false };
    case 'StockOpened':
      return { ...row, position, stockVersion: version, available: event.data.quantity };
    case 'StockAdjusted':
      return { ...row, position, stockVersion: version, available: event.data.available };
    case 'StockReserved':
    case 'StockReservationExpired':
    case 'StockCommitted':
    case 'StockReleased':
    case 'StockRestocked':
      return { ...row, position, stockVersion: version, available: event.data.available };
    default:
      return event satisfies never;
  }
}

function added({ data, version, position }: Extract<CatalogEvent, { type: 'ProductAdded' }>): ProductRow {
  const { sku, name, description, price } = data;
  return {
    sku,
    name,
    sortName: name.toLowerCase(),
    searchText: [sku, name, description ?? ''].join('\n').toLowerCase(),
    description,
    priceMinor: price.amountMinor,
    currency: price.currency,
    active: true,
    version,
    available: 0,
    stockVersion: 0,
    position,
    addedPosition: position,
  };
}
