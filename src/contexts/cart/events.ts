import { z } from 'zod';
import { defineEvent, type EventOf } from '../../eventsourcing/event.ts';
import { currency, money, sku } from '../values.ts';

export const cartCreated = defineEvent({
  type: 'CartCreated',
  schemaVersion: 1,
  description: 'An empty cart was begun.',
  data: z.object({
    currency,
    customerId: z.string().nullable().describe('The customer whose cart it is; null for a guest.'),
  }),
});

export const itemAddedToCart = defineEvent({
  type: 'ItemAddedToCart',
  schemaVersion: 1,
  description: 'Pieces of a product were put into the cart. The whole line has the unit price of the newest addition.',
  data: z.object({
    sku,
    name: z.string().describe('What the product was called then.'),
    quantity: z.number().int().describe('Pieces that were added.'),
    unitPrice: money.describe('What one piece cost then.'),
  }),
});

export const itemQuantityChanged = defineEvent({
  type: 'ItemQuantityChanged',
  schemaVersion: 1,
  description: 'There are more or fewer pieces of a product in the cart.',
  data: z.object({
    sku,
    quantity: z.number().int().describe('Pieces in the cart now.'),
    previousQuantity: z.number().int().describe('Pieces in the cart before.'),
  }),
});

export const itemRemovedFromCart = defineEvent({
  type: 'ItemRemovedFromCart',
  schemaVersion: 1,
  description: 'A product was taken out of the cart.',
  data: z.object({ sku, quantity: z.number().int().describe('Pieces that were in the cart.') }),
});

export const cartCleared = defineEvent({
  type: 'CartCleared',
  schemaVersion: 1,
  description: 'Everything was taken out of the cart.',
  data: z.object({ lineCount: z.number().int().describe('Lines that were in the cart.') }),
});

export const cartEvents = [
  cartCreated,
  itemAddedToCart,
  itemQuantityChanged,
  itemRemovedFromCart,
  cartCleared,
] as const;
export type CartEvent = EventOf<(typeof cartEvents)[number]>;
