import type { ObjectRef } from '@pothos/core';
import type { Receipt } from '../../eventsourcing/commands/command.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { rawIdOf } from '../../graphql/command-mutation.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID, EXPECTED_VERSION } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addCheckOutMutation } from './check-out-mutation.ts';
import {
  addItemToCart,
  applyCoupon,
  changeItemQuantity,
  clearCart,
  createCart,
  mergeCarts,
  removeCoupon,
  removeItemFromCart,
} from './commands.ts';
import { type CartRow, cartProjection } from './projection.ts';
import { addRestoreMutations } from './restore-mutations.ts';

interface CartPayload {
  readonly cart: CartRow;
  readonly receipt: Receipt;
}

const CART_ID = 'The id of the cart.';
const SKU = 'The stock keeping unit of the product.';

export function addCartMutations(kit: SchemaKit, shared: SharedTypes, cart: ObjectRef<BuilderTypes, CartRow>): void {
  const { builder, rejections } = kit;
  const { versionConflict, notFound, illegalState } = rejections;
  const { insufficientStock, limitExceeded, currencyMismatch } = shared;
  const payload = builder.objectRef<CartPayload>('CartPayload').implement({
    description: 'A cart after a command.',
    audience: 'owner',
    fields: (t) => ({
      cart: t.field({ type: cart, description: 'As it is now.', resolve: (it) => it.cart }),
      receipt: t.field({ type: kit.receipt, description: 'What became of the command.', resolve: (it) => it.receipt }),
    }),
  });
  const answer = {
    payload,
    idType: 'Cart',
    load: (id: string, { engine }: RequestContext) => engine.view(cartProjection).readUpToDate(id),
    show: (row: CartRow, receipt: Receipt): CartPayload => ({ cart: row, receipt }),
  };

  kit.addCommandMutation({
    ...answer,
    field: 'createCart',
    command: createCart,
    inputOptional: true,
    inputNames: { cartId: 'newCartId' },
    input: builder.inputType('CreateCartInput', {
      description: createCart.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        newCartId: t.id({ description: 'A UUID chosen by the client, so that a cart can be begun offline.' }),
        currency: t.field({ type: 'Currency', description: 'Of its prices; the shop has a default.' }),
      }),
    }),
    data: ({ newCartId, currency }, { ids, defaultCurrency }) => ({
      cartId: newCartId?.toLowerCase() ?? ids.unguessable(),
      currency: currency ?? defaultCurrency,
    }),
    rejections: [illegalState],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'addItemToCart',
    command: addItemToCart,
    input: builder.inputType('AddItemToCartInput', {
      description: addItemToCart.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: CART_ID }),
        sku: t.string({ required: true, description: SKU }),
        quantity: t.int({ required: true, description: 'How many pieces to add; a line holds at most 10,000.' }),
      }),
    }),
    data: ({ cartId, sku, quantity }) => ({ cartId: rawIdOf('Cart', cartId), sku, quantity }),
    rejections: [versionConflict, notFound, illegalState, insufficientStock, limitExceeded, currencyMismatch],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'changeItemQuantity',
    command: changeItemQuantity,
    input: builder.inputType('ChangeItemQuantityInput', {
      description: changeItemQuantity.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: CART_ID }),
        sku: t.string({ required: true, description: SKU }),
        quantity: t.int({ required: true, description: 'How many pieces there shall be: 1 to 10,000.' }),
      }),
    }),
    data: ({ cartId, sku, quantity }) => ({ cartId: rawIdOf('Cart', cartId), sku, quantity }),
    rejections: [versionConflict, notFound, illegalState, insufficientStock, limitExceeded],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'removeItemFromCart',
    command: removeItemFromCart,
    input: builder.inputType('RemoveItemFromCartInput', {
      description: removeItemFromCart.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: CART_ID }),
        sku: t.string({ required: true, description: SKU }),
      }),
    }),
    data: ({ cartId, sku }) => ({ cartId: rawIdOf('Cart', cartId), sku }),
    rejections: [versionConflict, notFound, illegalState],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'clearCart',
    command: clearCart,
    input: builder.inputType('ClearCartInput', {
      description: clearCart.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: CART_ID }),
      }),
    }),
    data: ({ cartId }) => ({ cartId: rawIdOf('Cart', cartId) }),
    rejections: [versionConflict, notFound, illegalState],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'mergeCarts',
    command: mergeCarts,
    inputNames: { cartId: 'intoCartId' },
    otherIds: ['fromCartId'],
    input: builder.inputType('MergeCartsInput', {
      description: mergeCarts.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        fromCartId: t.id({ required: true, description: 'The cart whose lines move: it ends.' }),
        intoCartId: t.id({ required: true, description: 'The cart that they move into.' }),
      }),
    }),
    data: ({ fromCartId, intoCartId }) => ({
      cartId: rawIdOf('Cart', intoCartId),
      fromCartId: rawIdOf('Cart', fromCartId),
    }),
    rejections: [versionConflict, notFound, illegalState, limitExceeded, currencyMismatch],
  });
  const couponInvalid = rejections.declareRejection('CouponInvalid', 'The coupon cannot be used.', {
    reason: { type: 'String', description: 'UNKNOWN, NOT_YET, EXPIRED, USED_UP or OTHER_CURRENCY.' },
  });
  kit.addCommandMutation({
    ...answer,
    field: 'applyCoupon',
    command: applyCoupon,
    input: builder.inputType('ApplyCouponInput', {
      description: applyCoupon.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: CART_ID }),
        code: t.string({ required: true, description: 'The code of the coupon, in capitals or not.' }),
      }),
    }),
    data: ({ cartId, code }) => ({ cartId: rawIdOf('Cart', cartId), code }),
    rejections: [versionConflict, notFound, illegalState, couponInvalid],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'removeCoupon',
    command: removeCoupon,
    input: builder.inputType('RemoveCouponInput', {
      description: removeCoupon.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        cartId: t.id({ required: true, description: CART_ID }),
        code: t.string({ required: true, description: 'The code of the coupon, in capitals or not.' }),
      }),
    }),
    data: ({ cartId, code }) => ({ cartId: rawIdOf('Cart', cartId), code }),
    rejections: [versionConflict, notFound, illegalState],
  });
  addCheckOutMutation(kit, shared, couponInvalid);
  addRestoreMutations(kit, shared, answer);
}
