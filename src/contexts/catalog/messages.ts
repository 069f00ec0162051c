import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import type { commitStock, releaseStock, reserveStock, restockReturn, SentCommandOf } from './commands.ts';
import { productEvents, stockEvents } from './events.ts';

/** What catalog tells other contexts: a published language, kept apart from its own events. */
export type CatalogMessage =
  | { type: 'ProductOffered'; sku: string; name: string; priceMinor: number; currency: string }
  | { type: 'ProductRepriced'; sku: string; priceMinor: number; currency: string }
  | { type: 'ProductWithdrawn'; sku: string }
  | { type: 'StockLevelChanged'; sku: string; available: number };

/** What catalog tells processes of an order's stock, when it is done for all of its lines. */
export type StockMessage =
  | { type: 'OrderStockReserved' | 'OrderStockCommitted' | 'OrderStockReleased'; orderId: string }
  | { type: 'OrderReturnRestocked'; orderId: string; returnId: string };

/** What processes may ask of catalog. The first line of an order is the one whose stock decides and answers. */
export type CatalogRequest = SentCommandOf<
  typeof reserveStock | typeof commitStock | typeof releaseStock | typeof restockReturn
>;

/** Selling what was reserved changes nothing of what others can buy. */
type SilentEvent = 'StockCommitted';

/** The types of the events that become messages. */
export const catalogMessageSources: readonly string[] = [...productEvents, ...stockEvents]
  .map(({ type }) => type)
  .filter((type) => type !== ('StockCommitted' satisfies SilentEvent));

type CatalogEvent = RecordedEventOf<(typeof productEvents)[number] | (typeof stockEvents)[number]>;

/** The message that an event of catalog is published as. */
export function catalogMessage(recorded: RecordedEvent): CatalogMessage {
  const event = recorded as Exclude<CatalogEvent, { type: SilentEvent }>;
  const { sku } = event.data;
  switch (event.type) {
    case 'ProductAdded': {
      const { amountMinor, currency } = event.data.price;
      return { type: 'ProductOffered', sku, name: event.data.name, priceMinor: amountMinor, currency };
    }
    case 'ProductPriceChanged': {
      const { amountMinor, currency } = event.data.price;
      return { type: 'ProductRepriced', sku, priceMinor: amountMinor, currency };
    }
    case 'ProductDeactivated':
      return { type: 'ProductWithdrawn', sku };
    case 'StockOpened':
      return { type: 'StockLevelChanged', sku, available: event.data.quantity };
    case 'StockAdjusted':
    case 'StockReserved':
    case 'StockReservationExpired':
    case 'StockReleased':
    case 'StockRestocked':
      return { type: 'StockLevelChanged', sku, available: event.data.available };
    default:
      return event satisfies never;
  }
}

const STOCK_MESSAGES = {
  StockReserved: 'OrderStockReserved',
  StockCommitted: 'OrderStockCommitted',
  StockReleased: 'OrderStockReleased',
  StockRestocked: 'OrderReturnRestocked',
} as const satisfies Partial<Record<CatalogEvent['type'], StockMessage['type']>>;

/** The types of the events that may become messages of these types. */
export function stockSourcesOf(...types: readonly StockMessage['type'][]): readonly string[] {
  return Object.entries(STOCK_MESSAGES).flatMap(([source, type]) => (types.includes(type) ? [source] : []));
}

/** The message to the process of an order that an event of stock is published as; undefined for none. */
export function stockMessage(recorded: RecordedEvent): StockMessage | undefined {
  const event = recorded as CatalogEvent;
  switch (event.type) {
    case 'StockReserved':
    case 'StockCommitted':
    case 'StockReleased': {
      const { orderId, concludes } = event.data;
      return concludes ? { type: STOCK_MESSAGES[event.type], orderId } : undefined;
    }
    case 'StockRestocked': {
      const { orderId, returnId, concludes } = event.data;
      return concludes ? { type: STOCK_MESSAGES[event.type], orderId, returnId } : undefined;
    }
    default:
      return undefined;
  }
}
