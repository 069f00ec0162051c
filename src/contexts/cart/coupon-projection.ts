import { z } from 'zod';
import type { RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import { couponEvents } from './coupon-events.ts';

/** A coupon: what staff see, and what a cart's decision to apply it is made from. */
export const couponRow = z.object({
  code: z.string(),
  label: z.string(),
  percent: z.number().nullable(),
  amountMinor: column.safeInt().nullable(),
  /** Of the amount. */
  currency: z.string().nullable(),
  validFrom: column.instant().nullable(),
  validTo: column.instant().nullable(),
  maxUses: z.number().nullable(),
  uses: z.number(),
  version: z.number(),
  position: column.safeInt(),
});
export type CouponRow = z.output<typeof couponRow>;

export const couponTable: ReadTable<CouponRow> = { name: 'coupon_view', key: 'code', row: couponRow };

type RecordedCouponEvent = RecordedEventOf<(typeof couponEvents)[number]>;

export const couponProjection: Projection<CouponRow> = {
  name: 'cart.coupons',
  version: 1,
  table: couponTable,
  eventTypes: couponEvents.map(({ type }) => type),
  keyOf: (event) => event.aggregateId,
  evolveRow: (row, event) => evolve(row, event as RecordedCouponEvent),
  streamsOf: ({ code }) => [streamIdOf('coupon', code)],
};

function evolve(row: CouponRow | undefined, event: RecordedCouponEvent): CouponRow | undefined {
  const { version, position } = event;
  if (event.type === 'CouponAdded') {
    const { code, label, percent, amount, validFrom, validTo, maxUses } = event.data;
    return {
      code,
      label,
      percent,
      amountMinor: amount?.amountMinor ?? null,
      currency: amount?.currency ?? null,
      validFrom: validFrom === null ? null : new Date(validFrom),
      validTo: validTo === null ? null : new Date(validTo),
      maxUses,
      uses: 0,
      version,
      position,
    };
  }
  if (row === undefined) return undefined;
  switch (event.type) {
    case 'CouponRedeemed':
      return { ...row, version, position, uses: row.uses + 1 };
    case 'CouponReleased':
      return { ...row, version, position, uses: row.uses - 1 };
    default:
      return event satisfies never;
  }
}
