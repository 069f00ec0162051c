import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/aggregate.ts';
import { currency, MAX_INT, sku } from '../values.ts';

const cartId = z.uuid('must be the id that createCart answered with');
const quantity = z.number().int('must be a whole number').min(1, 'must be at least 1').max(MAX_INT);

export const createCart = defineCommand({
  name: 'CreateCart',
  begins: true,
  description: 'Begins an empty cart.',
  audience: 'public',
  input: z.object({ cartId: z.uuid('must be a UUID'), currency }),
  aggregateId: (data) => data.cartId,
});

export const addItemToCart = defineCommand({
  name: 'AddItemToCart',
  description: 'Puts pieces of a product into a cart, at its price of now. What is in the cart already adds up.',
  audience: 'owner',
  input: z.object({ cartId, sku, quantity }),
  aggregateId: (data) => data.cartId,
  facts: (data) => [data.sku],
});

export const changeItemQuantity = defineCommand({
  name: 'ChangeItemQuantity',
  description: 'Sets how many pieces of a product are in a cart. The price stays that at which they were added.',
  audience: 'owner',
  input: z.object({ cartId, sku, quantity }),
  aggregateId: (data) => data.cartId,
  facts: (data) => [data.sku],
});

export const removeItemFromCart = defineCommand({
  name: 'RemoveItemFromCart',
  description: 'Takes a product out of a cart.',
  audience: 'owner',
  input: z.object({ cartId, sku }),
  aggregateId: (data) => data.cartId,
});

export const clearCart = defineCommand({
  name: 'ClearCart',
  description: 'Takes everything out of a cart.',
  audience: 'owner',
  input: z.object({ cartId }),
  aggregateId: (data) => data.cartId,
});

export const cartCommands = [createCart, addItemToCart, changeItemQuantity, removeItemFromCart, clearCart] as const;
export type CartCommand = CommandOf<(typeof cartCommands)[number]>;
