import type { Decider, Decision } from '../../eventsourcing/commands/decider.ts';
import { PersistentMap } from '../../eventsourcing/commands/persistent-map.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import type { CouponCommand } from './coupon-commands.ts';
import type { CouponEvent } from './coupon-events.ts';
import { couponInvalid, problemOf } from './coupon-rejection.ts';

/** A coupon with what it was used for. Orders stay known for good, so that whatever is repeated changes nothing. */
interface OpenCoupon {
  readonly status: 'open';
  readonly validFrom: Date | null;
  readonly validTo: Date | null;
  readonly maxUses: number | null;
  /** Orders that use it now. */
  readonly uses: number;
  readonly orders: PersistentMap<'redeemed' | 'released'>;
}

export type CouponState = { readonly status: 'unknown' } | OpenCoupon;

type CommandData<Type extends CouponCommand['type']> = Extract<CouponCommand, { type: Type }>['data'];

export const couponDecider: Decider<CouponState, CouponCommand, CouponEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state, { now }) {
    switch (command.type) {
      case 'AddCoupon':
        return add(command.data, state);
      case 'RedeemCoupon':
        return redeem(command.data, state, now);
      case 'ReleaseCoupon':
        return release(command.data, state);
      default:
        return command satisfies never;
    }
  },
  evolve,
};

function add(data: CommandData<'AddCoupon'>, state: CouponState): Decision<CouponEvent> {
  const { code, label, percent = null, amount = null, validFrom = null, validTo = null, maxUses = null } = data;
  if (state.status !== 'unknown') return illegalState('OPEN', `There is a coupon ${code} already.`);
  return [{ type: 'CouponAdded', data: { code, label: label.trim(), percent, amount, validFrom, validTo, maxUses } }];
}

function redeem({ code, orderId }: CommandData<'RedeemCoupon'>, state: CouponState, now: Date): Decision<CouponEvent> {
  if (state.status === 'unknown') return couponInvalid(code, 'UNKNOWN');
  const use = state.orders.get(orderId);
  if (use === 'redeemed') return [];
  if (use === 'released') return illegalState('RELEASED', `The order ${orderId} gave the coupon ${code} back.`);
  const problem = problemOf(state, now);
  return problem === undefined ? [{ type: 'CouponRedeemed', data: { code, orderId } }] : couponInvalid(code, problem);
}

function release({ code, orderId }: CommandData<'ReleaseCoupon'>, state: CouponState): Decision<CouponEvent> {
  if (state.status === 'unknown') return notFound('coupon', code);
  return state.orders.get(orderId) === 'redeemed' ? [{ type: 'CouponReleased', data: { code, orderId } }] : [];
}

function evolve(state: CouponState, event: CouponEvent): CouponState {
  if (event.type === 'CouponAdded') {
    const { validFrom, validTo, maxUses } = event.data;
    return {
      status: 'open',
      validFrom: validFrom === null ? null : new Date(validFrom),
      validTo: validTo === null ? null : new Date(validTo),
      maxUses,
      uses: 0,
      orders: PersistentMap.empty(),
    };
  }
  if (state.status === 'unknown') return state;
  const { orderId } = event.data;
  switch (event.type) {
    case 'CouponRedeemed':
      return { ...state, uses: state.uses + 1, orders: state.orders.set(orderId, 'redeemed') };
    case 'CouponReleased':
      return { ...state, uses: state.uses - 1, orders: state.orders.set(orderId, 'released') };
    default:
      return event satisfies never;
  }
}
