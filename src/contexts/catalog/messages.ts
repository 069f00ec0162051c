import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/event.ts';
import { productEvents, stockEvents } from './events.ts';

/** What catalog tells other contexts: a published language, kept apart from its own events. */
export type CatalogMessage =
  | { type: 'ProductOffered'; sku: string; name: string; priceMinor: number; currency: string }
  | { type: 'ProductRepriced'; sku: string; priceMinor: number; currency: string }
  | { type: 'ProductWithdrawn'; sku: string }
  | { type: 'StockLevelChanged'; sku: string; available: number };

/** The types of the events that become messages. */
export const catalogMessageSources: readonly string[] = [...productEvents, ...stockEvents].map(({ type }) => type);

/** The message that an event of catalog is published as. */
export function catalogMessage(recorded: RecordedEvent): CatalogMessage {
  const event = recorded as RecordedEventOf<(typeof productEvents)[number] | (typeof stockEvents)[number]>;
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
    case 'StockAdjusted':
      return { type: 'StockLevelChanged', sku, available: event.data.quantity };
    default:
      return event satisfies never;
  }
}
