import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/aggregate.ts';
import { MAX_INT, money, sku, text } from '../values.ts';

const quantity = z.number().int().min(0, 'must not be negative').max(MAX_INT);

export const addProduct = defineCommand({
  name: 'AddProduct',
  begins: true,
  description: 'Adds a product to the catalog, with the stock that it begins with.',
  audience: 'staff',
  input: z.object({
    sku,
    name: text(200).refine((name) => name.trim() !== '', 'must not be empty'),
    description: text(5_000).nullish(),
    price: money,
    stock: quantity,
  }),
  aggregateId: (data) => data.sku,
  companions: ({ sku, stock }) => [{ type: 'OpenStock', data: { sku, quantity: stock } }],
});

export const changeProductPrice = defineCommand({
  name: 'ChangeProductPrice',
  description: 'Sets what a product costs from now on. Carts keep the price at which an item was added.',
  audience: 'staff',
  input: z.object({ sku, price: money }),
  aggregateId: (data) => data.sku,
});

export const deactivateProduct = defineCommand({
  name: 'DeactivateProduct',
  description: 'Takes a product out of the shop: it cannot be added to carts any more.',
  audience: 'staff',
  input: z.object({ sku }),
  aggregateId: (data) => data.sku,
});

export const openStock = defineCommand({
  name: 'OpenStock',
  begins: true,
  description: 'Begins the stock of a product.',
  audience: 'staff',
  input: z.object({ sku, quantity }),
  aggregateId: (data) => data.sku,
});

export const adjustStock = defineCommand({
  name: 'AdjustStock',
  description: 'Changes how many pieces of a product there are: a delivery, a loss, a count.',
  audience: 'staff',
  input: z.object({
    sku,
    delta: z.number().int().min(-MAX_INT).max(MAX_INT),
    reason: text(500).refine((reason) => reason.trim() !== '', 'must not be empty'),
  }),
  aggregateId: (data) => data.sku,
});

export type ProductCommand = CommandOf<typeof addProduct | typeof changeProductPrice | typeof deactivateProduct>;
export type StockCommand = CommandOf<typeof openStock | typeof adjustStock>;
