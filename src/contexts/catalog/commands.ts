import { z } from 'zod';
import { type CommandDefinition, type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { MAX_INT, money, sku, text } from '../values.ts';

const quantity = z.number().int().min(0, 'must not be negative').max(MAX_INT);
const orderId = z.uuid('must be a UUID');
const stockLine = z.object({ sku, quantity: z.number().int().min(1, 'must be at least 1').max(MAX_INT) });
/** What an order takes; each product is decided by its own stock. */
const lines = z
  .array(stockLine)
  .min(1, 'must not be empty')
  .refine((all) => new Set(all.map((line) => line.sku)).size === all.length, 'must name each product once');
/** Whether its events tell the order's process that the whole is done: those of the first line do. */
const concludes = z.boolean().default(true);

interface OrderedStock {
  readonly lines: readonly z.output<typeof stockLine>[];
}

/** The stock that decides: that of the first line. */
function firstSku({ lines: [first] }: OrderedStock): string {
  return first?.sku ?? '';
}

/** The same command for each further line alone: so all lines succeed, or none does. */
function forFurtherLines<Data extends OrderedStock>(type: string) {
  return (data: Data) =>
    data.lines.slice(1).map((line) => ({ type, data: { ...data, lines: [line], concludes: false } }));
}

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

export const reserveStock = defineCommand({
  name: 'ReserveStock',
  description:
    'Holds pieces for an order that is to be paid: of each product all that is asked for, or nothing at all.',
  audience: 'service',
  input: z.object({ orderId, lines, expiresAt: z.iso.datetime(), concludes }),
  aggregateId: firstSku,
  companions: forFurtherLines('ReserveStock'),
});

export const commitStock = defineCommand({
  name: 'CommitStock',
  description: 'Sells what was reserved for an order.',
  audience: 'service',
  input: z.object({ orderId, lines, concludes }),
  aggregateId: firstSku,
  companions: forFurtherLines('CommitStock'),
});

export const releaseStock = defineCommand({
  name: 'ReleaseStock',
  description: 'Gives back what was reserved for an order, or sold to it: exactly what was taken, once.',
  audience: 'service',
  input: z.object({ orderId, lines, reason: text(500), concludes }),
  aggregateId: firstSku,
  companions: forFurtherLines('ReleaseStock'),
});

export const restockReturn = defineCommand({
  name: 'RestockReturn',
  description: 'Puts pieces that came back from a customer into stock again.',
  audience: 'service',
  input: z.object({ orderId, returnId: z.uuid('must be a UUID'), lines, concludes }),
  aggregateId: firstSku,
  companions: forFurtherLines('RestockReturn'),
});

export const stockCommands = [openStock, adjustStock, reserveStock, commitStock, releaseStock, restockReturn] as const;

export type ProductCommand = CommandOf<typeof addProduct | typeof changeProductPrice | typeof deactivateProduct>;
export type StockCommand = CommandOf<(typeof stockCommands)[number]>;

/** As whoever sends it writes it: what has a default may be left out. */
export type SentCommandOf<Definition> =
  Definition extends CommandDefinition<infer Name, infer Input>
    ? { readonly type: Name; readonly data: z.input<Input> }
    : never;
