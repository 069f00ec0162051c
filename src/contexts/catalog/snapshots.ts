import { z } from 'zod';
import { persistentMapOf, type SnapshotPolicy } from '../../eventsourcing/commands/snapshot-policy.ts';
import { type Expiries, heapOf, listOf } from './expiries.ts';
import type { ProductState } from './product-decider.ts';
import type { OrderStock, StockState } from './stock-state.ts';

const price = z.strictObject({ amountMinor: z.number(), currency: z.string() });

/** A price that changes by the hour for years. */
export const productSnapshots: SnapshotPolicy<ProductState> = {
  every: 100,
  version: 1,
  state: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('unknown') }),
    z.strictObject({ status: z.enum(['active', 'inactive']), price }),
  ]),
};

const orderStock: z.ZodType<OrderStock> = z.discriminatedUnion('status', [
  z.strictObject({ status: z.literal('reserved'), quantity: z.number(), expiresAt: z.number() }),
  z.strictObject({ status: z.literal('committed'), quantity: z.number() }),
  z.strictObject({ status: z.enum(['expired', 'released']) }),
]);

const expiries = z.codec(
  z.array(z.strictObject({ at: z.number(), orderId: z.string(), children: z.number().int().min(0).max(3) })),
  z.custom<Expiries>(),
  { decode: (listed) => heapOf(listed), encode: (heap) => listOf(heap) },
);

/** Two or more events for each order; its state grows with them, too. */
export const stockSnapshots: SnapshotPolicy<StockState> = {
  every: 200,
  version: 1,
  state: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('unknown') }),
    z.strictObject({
      status: z.literal('open'),
      onHand: z.number(),
      reserved: z.number(),
      orders: persistentMapOf(orderStock),
      returns: persistentMapOf(z.literal(true)),
      expiries,
    }),
  ]),
};
