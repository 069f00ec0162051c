import { z } from 'zod';
import { defineEvent, type EventOf, formerVersion } from '../../eventsourcing/log/event.ts';
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

const adjustment = {
  sku,
  delta: z.number().int().describe('Pieces more, or fewer.'),
  quantity: z.number().int().describe('Pieces in stock now, those that are reserved included.'),
  reason: z.string().meta({ description: 'Why, in the words of whoever did it. For staff.', audience: 'staff' }),
};

export const stockAdjusted = defineEvent({
  type: 'StockAdjusted',
  schemaVersion: 2,
  description: 'The stock of a product was corrected.',
  data: z.object({ ...adjustment, available: z.number().int().describe('Pieces that can be sold now.') }),
  formerVersions: [
    formerVersion({
      schemaVersion: 1,
      data: z.object(adjustment),
      // Nothing could be reserved then: all pieces that there were could be sold.
      upcast: (data) => ({ ...data, available: data.quantity }),
    }),
  ],
});

/** Whose order it is, is for nobody else to know: whoever watches a product sees only how its stock moves. */
const orderId = z
  .string()
  .meta({ description: 'The order that it is for. For staff.', idOf: 'Order', audience: 'staff' });
const quantity = z.number().int().describe('How many pieces.');
const available = z.number().int().describe('Pieces that can be sold now.');
const concludes = z.boolean().meta({
  description: 'It stands for all lines of the order: the process of the order goes on from it.',
  audience: 'staff',
});

export const stockReserved = defineEvent({
  type: 'StockReserved',
  schemaVersion: 1,
  description: 'Pieces are held for an order: nobody else can buy them meanwhile.',
  data: z.object({
    sku,
    orderId,
    quantity,
    available,
    expiresAt: z.iso.datetime().meta({ description: 'From then on others may take them over.', audience: 'staff' }),
    concludes,
  }),
});

export const stockReservationExpired = defineEvent({
  type: 'StockReservationExpired',
  schemaVersion: 1,
  description: 'A reservation was over, and its pieces were needed for somebody else.',
  data: z.object({ sku, orderId, quantity, available }),
});

export const stockCommitted = defineEvent({
  type: 'StockCommitted',
  schemaVersion: 1,
  description: 'Pieces that were reserved are sold.',
  data: z.object({ sku, orderId, quantity, available, concludes }),
});

export const stockReleased = defineEvent({
  type: 'StockReleased',
  schemaVersion: 1,
  description: 'Pieces that were reserved for an order, or sold to it, can be sold again.',
  data: z.object({
    sku,
    orderId,
    quantity,
    available,
    reason: z.string().meta({ description: 'Why. For staff.', audience: 'staff' }),
    concludes,
  }),
});

export const stockRestocked = defineEvent({
  type: 'StockRestocked',
  schemaVersion: 1,
  description: 'Pieces came back from a customer, and can be sold again.',
  data: z.object({
    sku,
    orderId,
    returnId: z.string().meta({ description: 'The return that they came with. For staff.', audience: 'staff' }),
    quantity,
    available,
    concludes,
  }),
});

export const productEvents = [productAdded, productPriceChanged, productDeactivated] as const;
export const stockEvents = [
  stockOpened,
  stockAdjusted,
  stockReserved,
  stockReservationExpired,
  stockCommitted,
  stockReleased,
  stockRestocked,
] as const;
export type ProductEvent = EventOf<(typeof productEvents)[number]>;
export type StockEvent = EventOf<(typeof stockEvents)[number]>;
