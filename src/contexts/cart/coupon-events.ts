import { z } from 'zod';
import { defineEvent, type EventOf } from '../../eventsourcing/log/event.ts';
import { money } from '../values.ts';

const code = z.string().describe('The code of the coupon.');
const orderId = z
  .string()
  .meta({ description: 'The order that it is used for. For staff.', idOf: 'Order', audience: 'staff' });
const instant = z.iso.datetime().nullable();

export const couponAdded = defineEvent({
  type: 'CouponAdded',
  schemaVersion: 1,
  description: 'There is a new coupon.',
  data: z.object({
    code,
    label: z.string().describe('What the shop calls it.'),
    percent: z.number().int().nullable().describe('How many percent it takes off, if it does.'),
    amount: money.nullable().describe('How much it takes off, if it is an amount.'),
    validFrom: instant.describe('From when on it can be used; null for always.'),
    validTo: instant.describe('From when on it cannot be used any more; null for never.'),
    maxUses: z.number().int().nullable().describe('For how many orders it can be used; null for any number.'),
  }),
});

export const couponRedeemed = defineEvent({
  type: 'CouponRedeemed',
  schemaVersion: 1,
  description: 'A coupon was used for an order.',
  data: z.object({ code, orderId }),
});

export const couponReleased = defineEvent({
  type: 'CouponReleased',
  schemaVersion: 1,
  description: 'A use of a coupon was given back, since there was no order after all.',
  data: z.object({ code, orderId }),
});

export const couponEvents = [couponAdded, couponRedeemed, couponReleased] as const;
export type CouponEvent = EventOf<(typeof couponEvents)[number]>;
