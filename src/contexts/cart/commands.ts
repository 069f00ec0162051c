import { z } from 'zod';
import { ACTOR_KINDS } from '../../eventsourcing/actor.ts';
import { type CommandOf, defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { personal } from '../../eventsourcing/log/codec.ts';
import { address, currency, emailAddress, MAX_INT, movedLine, sku } from '../values.ts';
import { couponCode } from './coupon-commands.ts';
import { couponKey, productKey } from './facts.ts';
import { restoreCart, undoCartChange } from './restore-commands.ts';

const cartId = z.uuid('must be the id that createCart answered with');
/** Of the command that asked for the merge. */
const mergeId = z.guid('must be a UUID');
/** Of the order that the cart becomes. */
const orderId = z.uuid('must be a UUID');
/** On whose behalf a process works: it may do no more than they. */
const requestedBy = z.object({ kind: z.enum(ACTOR_KINDS), id: z.string().nullable() });
const quantity = z.number().int('must be a whole number').min(1, 'must be at least 1').max(MAX_INT);

export const createCart = defineCommand({
  name: 'CreateCart',
  begins: true,
  description: 'Begins an empty cart.',
  audience: 'public',
  input: z.object({ cartId: z.uuid('must be a UUID'), currency }),
  aggregateId: (data) => data.cartId,
});

export const addItemToCart = defineCommand({
  name: 'AddItemToCart',
  description: 'Puts pieces of a product into a cart, at its price of now. What is in the cart already adds up.',
  audience: 'owner',
  input: z.object({ cartId, sku, quantity }),
  aggregateId: (data) => data.cartId,
  facts: (data) => [productKey(data.sku)],
});

export const changeItemQuantity = defineCommand({
  name: 'ChangeItemQuantity',
  description: 'Sets how many pieces of a product are in a cart. The price stays that at which they were added.',
  audience: 'owner',
  input: z.object({ cartId, sku, quantity }),
  aggregateId: (data) => data.cartId,
  facts: (data) => [productKey(data.sku)],
});

export const removeItemFromCart = defineCommand({
  name: 'RemoveItemFromCart',
  description: 'Takes a product out of a cart.',
  audience: 'owner',
  input: z.object({ cartId, sku }),
  aggregateId: (data) => data.cartId,
});

export const clearCart = defineCommand({
  name: 'ClearCart',
  description: 'Takes everything out of a cart.',
  audience: 'owner',
  input: z.object({ cartId }),
  aggregateId: (data) => data.cartId,
});

export const abandonCart = defineCommand({
  name: 'AbandonCart',
  description: 'Notes that nobody changed a cart for a long time.',
  audience: 'service',
  input: z.object({ cartId }),
  aggregateId: (data) => data.cartId,
});

export const mergeCarts = defineCommand({
  name: 'MergeCarts',
  description:
    'Moves what is in one cart into another: a guest who signs in goes on with one cart. Every line moves once, or none does. A line that both have keeps the price that it has in the cart that takes it in.',
  audience: 'owner',
  concludedByProcess: true,
  input: z.object({ cartId, fromCartId: cartId }).refine((data) => data.fromCartId !== data.cartId, {
    path: ['fromCartId'],
    error: 'must be another cart',
    when: ({ issues }) => issues.length === 0,
  }),
  aggregateId: (data) => data.cartId,
});

export const handOverCartLines = defineCommand({
  name: 'HandOverCartLines',
  description: 'Holds the lines of a cart for a merge: nobody can change them until they are taken in, or taken back.',
  audience: 'service',
  input: z.object({ cartId, intoCartId: cartId, mergeId, requestedBy }),
  aggregateId: (data) => data.cartId,
});

export const takeInCartLines = defineCommand({
  name: 'TakeInCartLines',
  description: 'Puts into a cart what another one handed over.',
  audience: 'service',
  input: z.object({ cartId, fromCartId: cartId, mergeId, currency, lines: z.array(movedLine), requestedBy }),
  aggregateId: (data) => data.cartId,
});

export const completeCartMerge = defineCommand({
  name: 'CompleteCartMerge',
  description: 'Ends a cart whose lines were taken in by another.',
  audience: 'service',
  input: z.object({ cartId, mergeId }),
  aggregateId: (data) => data.cartId,
});

export const takeBackCartLines = defineCommand({
  name: 'TakeBackCartLines',
  description: 'Gives a cart back the lines that it handed over, since the other cart cannot take them in.',
  audience: 'service',
  input: z.object({ cartId, mergeId }),
  aggregateId: (data) => data.cartId,
});

export const applyCoupon = defineCommand({
  name: 'ApplyCoupon',
  description: 'Takes off what a coupon grants. A cart has one coupon: another one takes its place.',
  audience: 'owner',
  input: z.object({ cartId, code: couponCode }),
  aggregateId: (data) => data.cartId,
  facts: (data) => [couponKey(data.code)],
});

export const removeCoupon = defineCommand({
  name: 'RemoveCoupon',
  description: 'Goes on without a coupon.',
  audience: 'owner',
  input: z.object({ cartId, code: couponCode }),
  aggregateId: (data) => data.cartId,
});

export const checkOutCart = defineCommand({
  name: 'CheckOutCart',
  description: 'Makes an order of a cart: its stock is reserved, and its payment awaited.',
  audience: 'owner',
  concludedByProcess: true,
  input: z.object({
    cartId,
    orderId,
    /** Whose data it is: of a customer or guest who is known, their id; otherwise the cart's. */
    customerId: z.string().min(1, 'must not be empty'),
    email: personal(emailAddress, 'customerId'),
    shippingAddress: personal(address, 'customerId'),
  }),
  aggregateId: (data) => data.cartId,
});

export const completeCartCheckOut = defineCommand({
  name: 'CompleteCartCheckOut',
  description: 'Ends a cart that became an order.',
  audience: 'service',
  input: z.object({ cartId, orderId }),
  aggregateId: (data) => data.cartId,
});

export const cancelCartCheckOut = defineCommand({
  name: 'CancelCartCheckOut',
  description: 'Gives a cart back to its shopper, since no order could be made of it.',
  audience: 'service',
  input: z.object({ cartId, orderId, reason: z.string() }),
  aggregateId: (data) => data.cartId,
});

export const cartCommands = [
  createCart,
  addItemToCart,
  changeItemQuantity,
  removeItemFromCart,
  clearCart,
  abandonCart,
  mergeCarts,
  handOverCartLines,
  takeInCartLines,
  completeCartMerge,
  takeBackCartLines,
  applyCoupon,
  removeCoupon,
  checkOutCart,
  completeCartCheckOut,
  cancelCartCheckOut,
  restoreCart,
  undoCartChange,
] as const;
export type CartCommand = CommandOf<(typeof cartCommands)[number]>;
