import { z } from 'zod';
import {
  instantText,
  mapOf,
  persistentMapOf,
  type SnapshotPolicy,
  setOfTexts,
} from '../../eventsourcing/commands/snapshot-policy.ts';
import type { CouponState } from './coupon-decider.ts';
import type { CartState } from './state.ts';

const money = z.strictObject({ amountMinor: z.number(), currency: z.string() });
const contents = {
  currency: z.string(),
  customerId: z.string().nullable(),
  lines: mapOf(z.strictObject({ name: z.string(), quantity: z.number(), unitPrice: money })),
  coupon: z
    .strictObject({
      code: z.string(),
      label: z.string(),
      percent: z.number().nullable(),
      amount: money.nullable(),
    })
    .nullable(),
  takenIn: setOfTexts(),
  takenBack: setOfTexts(),
  cancelledCheckOuts: setOfTexts(),
};

/** Of a few dozen lines, which may have been changed any number of times. */
export const cartSnapshots: SnapshotPolicy<CartState> = {
  every: 100,
  version: 1,
  state: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('unknown') }),
    z.strictObject({ status: z.enum(['open', 'abandoned']), ...contents }),
    z.strictObject({
      status: z.enum(['merging', 'merged']),
      ...contents,
      mergeId: z.string(),
      intoCartId: z.string(),
    }),
    z.strictObject({ status: z.enum(['checking_out', 'checked_out']), ...contents, orderId: z.string() }),
  ]),
};

/** One event or two for each order that uses it. */
export const couponSnapshots: SnapshotPolicy<CouponState> = {
  every: 100,
  version: 1,
  state: z.discriminatedUnion('status', [
    z.strictObject({ status: z.literal('unknown') }),
    z.strictObject({
      status: z.literal('open'),
      validFrom: instantText().nullable(),
      validTo: instantText().nullable(),
      maxUses: z.number().nullable(),
      uses: z.number(),
      orders: persistentMapOf(z.enum(['redeemed', 'released'])),
    }),
  ]),
};
