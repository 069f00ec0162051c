import { z } from 'zod';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { MAX_INT, money, text } from '../values.ts';

/** The code of a coupon, which may be typed in capitals or not. */
export const couponCode = text(40)
  .transform((code) => code.trim().toUpperCase())
  .refine((code) => /^[A-Z0-9_-]+$/.test(code), 'must be letters, digits, dashes or underscores');
/** Of the order that it is used for. */
const orderId = z.uuid('must be a UUID');

export const addCoupon = defineCommand({
  name: 'AddCoupon',
  begins: true,
  description: 'Adds a coupon that takes a percentage off, or an amount.',
  audience: 'staff',
  input: z
    .object({
      code: couponCode,
      label: text(200).refine((label) => label.trim() !== '', 'must not be empty'),
      percent: z
        .number()
        .int('must be a whole number')
        .min(1, 'must be 1 to 100')
        .max(100, 'must be 1 to 100')
        .nullish(),
      amount: money.nullish(),
      validFrom: z.iso.datetime().nullish(),
      validTo: z.iso.datetime().nullish(),
      maxUses: z.number().int('must be a whole number').min(1, 'must be at least 1').max(MAX_INT).nullish(),
    })
    .refine(({ percent, amount }) => (percent ?? null) === null || (amount ?? null) === null, {
      path: ['amount'],
      error: 'must not be there beside percent',
      when: ({ issues }) => issues.length === 0,
    })
    .refine(({ percent, amount }) => (percent ?? amount ?? null) !== null, {
      path: ['percent'],
      error: 'must be there, or amount',
      when: ({ issues }) => issues.length === 0,
    })
    .refine(({ validFrom, validTo }) => !validFrom || !validTo || Date.parse(validFrom) < Date.parse(validTo), {
      path: ['validTo'],
      error: 'must be later than validFrom',
      when: ({ issues }) => issues.length === 0,
    }),
  aggregateId: (data) => data.code,
});

export const redeemCoupon = defineCommand({
  name: 'RedeemCoupon',
  description: 'Uses a coupon for an order. Of two orders that want its last use, one gets it.',
  audience: 'service',
  input: z.object({ code: couponCode, orderId }),
  aggregateId: (data) => data.code,
});

export const releaseCoupon = defineCommand({
  name: 'ReleaseCoupon',
  description: 'Gives back the use of a coupon, since there will be no order.',
  audience: 'service',
  input: z.object({ code: couponCode, orderId }),
  aggregateId: (data) => data.code,
});

export const couponCommands = [addCoupon, redeemCoupon, releaseCoupon] as const;
export type CouponCommand = CommandOf<(typeof couponCommands)[number]>;
