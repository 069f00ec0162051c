import { z } from 'zod';
import { defineEvent, type EventOf } from '../../eventsourcing/event.ts';
import { money, sku } from '../values.ts';

export const productAdded = defineEvent({
  type: 'ProductAdded',
  schemaVersion: 1,
  description: 'A product was added to the catalog.',
  data: z.object({
    sku,
    name: z.string().describe('What the shop calls the product.'),
    description: z.string().nullable().describe('What the shop tells about the product.'),
    price: money.describe('What the product costs.'),
  }),
});

export const productPriceChanged = defineEvent({
  type: 'ProductPriceChanged',
  schemaVersion: 1,
  description: 'A product has another price. Carts keep the price at which an item was added.',
  data: z.object({
    sku,
    price: money.describe('What the product costs now.'),
    previousPrice: money.describe('What it cost before.'),
  }),
});

export const productDeactivated = defineEvent({
  type: 'ProductDeactivated',
  schemaVersion: 1,
  description: 'A product was taken out of the shop.',
  data: z.object({ sku }),
});

export const stockOpened = defineEvent({
  type: 'StockOpened',
  schemaVersion: 1,
  description: 'The stock of a new product began.',
  data: z.object({ sku, quantity: z.number().int().describe('Pieces in stock.') }),
});

export const stockAdjusted = defineEvent({
  type: 'StockAdjusted',
  schemaVersion: 1,
  description: 'The stock of a product was corrected.',
  data: z.object({
    sku,
    delta: z.number().int().describe('Pieces more, or fewer.'),
    quantity: z.number().int().describe('Pieces in stock now.'),
    reason: z.string().meta({ description: 'Why, in the words of whoever did it. For staff.', audience: 'staff' }),
  }),
});

export const productEvents = [productAdded, productPriceChanged, productDeactivated] as const;
export const stockEvents = [stockOpened, stockAdjusted] as const;
export type ProductEvent = EventOf<(typeof productEvents)[number]>;
export type StockEvent = EventOf<(typeof stockEvents)[number]>;
