import type { Aggregate } from '../../eventsourcing/commands/aggregate.ts';
import type { Context } from '../context.ts';
import { type CartCommand, cartCommands } from './commands.ts';
import { type CouponCommand, couponCommands } from './coupon-commands.ts';
import { type CouponState, couponDecider } from './coupon-decider.ts';
import { type CouponEvent, couponEvents } from './coupon-events.ts';
import { couponProjection, couponTable } from './coupon-projection.ts';
import { cartDecider } from './decider.ts';
import { type CartEvent, cartEvents } from './events.ts';
import type { CartFact } from './facts.ts';
import { cartProductProjection, cartProductTable } from './product-copy.ts';
import { cartProjection } from './projection.ts';
import { declareCartSchema } from './schema.ts';
import { cartSnapshots, couponSnapshots } from './snapshots.ts';
import type { CartState } from './state.ts';

const cart: Aggregate<CartState, CartCommand, CartEvent, CartFact> = {
  type: 'cart',
  decider: cartDecider,
  commands: cartCommands,
  events: cartEvents,
  facts: { tables: { products: cartProductTable, coupons: couponTable } },
  snapshots: cartSnapshots,
  endsWith: ['CartAbandoned', 'CartMerged', 'CartCheckedOut'],
};

const coupon: Aggregate<CouponState, CouponCommand, CouponEvent, never> = {
  type: 'coupon',
  decider: couponDecider,
  commands: couponCommands,
  events: couponEvents,
  snapshots: couponSnapshots,
};

export const cartContext: Context = {
  name: 'cart',
  aggregates: [cart, coupon],
  projections: [cartProjection, cartProductProjection, couponProjection],
  declareSchema: declareCartSchema,
};
