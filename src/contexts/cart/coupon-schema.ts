import type { Receipt } from '../../eventsourcing/commands/command.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addCoupon } from './coupon-commands.ts';
import { type CouponRow, couponProjection } from './coupon-projection.ts';

interface CouponPayload {
  readonly coupon: CouponRow;
  readonly receipt: Receipt;
}

const CODE = 'What shoppers type in, in capitals or not: letters, digits, dashes and underscores, at most 40.';

/** Coupons as staff see them. */
export function addCouponSchema(kit: SchemaKit, { money, moneyInput }: SharedTypes): void {
  const { builder, rejections } = kit;
  const coupon = builder.objectRef<CouponRow>('Coupon').implement({
    description: 'A coupon, with how often it was used. Staff alone are given any.',
    audience: 'owner',
    aggregates: ({ code }) => [{ type: 'coupon', id: code }],
    fields: (t) => ({
      code: t.string({ description: 'What shoppers type in.', resolve: (it) => it.code }),
      label: t.string({ description: 'What the shop calls it.', resolve: (it) => it.label }),
      percent: t.int({
        nullable: true,
        description: 'How many percent it takes off, if it does.',
        resolve: (it) => it.percent,
      }),
      amount: t.field({
        type: money,
        nullable: true,
        description: 'How much it takes off, if it is an amount.',
        resolve: ({ amountMinor, currency }) =>
          amountMinor === null || currency === null ? null : { amountMinor, currency },
      }),
      validFrom: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'From when on it can be used; null for always.',
        resolve: (it) => it.validFrom,
      }),
      validTo: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'From when on it cannot be used any more; null for never.',
        resolve: (it) => it.validTo,
      }),
      maxUses: t.int({
        nullable: true,
        description: 'For how many orders it can be used; null for any number.',
        resolve: (it) => it.maxUses,
      }),
      uses: t.int({ description: 'How many orders use it.', resolve: (it) => it.uses }),
      version: t.int({ description: 'How many events it has.', resolve: (it) => it.version }),
    }),
  });

  builder.queryField('coupon', (t) =>
    t.field({
      type: coupon,
      nullable: true,
      audience: 'staff',
      description: 'A coupon by its code; null if there is none.',
      args: { code: t.arg.string({ required: true, description: CODE }) },
      reads: ({ code }) => ({ type: 'coupon', id: codeOf(code) }),
      resolve: (_root, { code }, { engine }) => engine.view(couponProjection).read(codeOf(code)),
    }),
  );

  const payload = builder.objectRef<CouponPayload>('CouponPayload').implement({
    description: 'A coupon after a command.',
    audience: 'owner',
    fields: (t) => ({
      coupon: t.field({ type: coupon, description: 'As it is now.', resolve: (it) => it.coupon }),
      receipt: t.field({ type: kit.receipt, description: 'What became of the command.', resolve: (it) => it.receipt }),
    }),
  });
  kit.addCommandMutation({
    field: 'addCoupon',
    command: addCoupon,
    payload,
    load: (code: string, { engine }: RequestContext) => engine.view(couponProjection).readUpToDate(code),
    show: (row: CouponRow, receipt: Receipt): CouponPayload => ({ coupon: row, receipt }),
    input: builder.inputType('AddCouponInput', {
      description: addCoupon.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        code: t.string({ required: true, description: CODE }),
        label: t.string({ required: true, description: 'What the shop calls it; at most 200 characters.' }),
        percent: t.int({ description: 'How many percent it takes off: 1 to 100. This, or amount.' }),
        amount: t.field({ type: moneyInput, description: 'How much it takes off. This, or percent.' }),
        validFrom: t.field({ type: 'DateTime', description: 'From when on it can be used; always, if left out.' }),
        validTo: t.field({ type: 'DateTime', description: 'From when on it cannot be used; never, if left out.' }),
        maxUses: t.int({ description: 'For how many orders it can be used; any number, if left out.' }),
      }),
    }),
    data: ({ code, label, percent, amount, validFrom, validTo, maxUses }) => ({
      code,
      label,
      percent,
      amount,
      validFrom: validFrom?.toISOString(),
      validTo: validTo?.toISOString(),
      maxUses,
    }),
    rejections: [rejections.illegalState],
  });
}

/** As it is stored, of what somebody typed in. */
function codeOf(typed: string): string {
  return typed.trim().toUpperCase();
}
