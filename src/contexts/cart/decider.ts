import type { Actor } from '../../eventsourcing/actor.ts';
import {
  type Decider,
  type Decision,
  type DecisionContext,
  isRejection,
} from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import { currencyMismatch, insufficientStock } from '../rejections.ts';
import { applyCoupon, cancelCheckOut, checkOut, completeCheckOut, removeCoupon } from './check-out-decider.ts';
import type { CartCommand } from './commands.ts';
import type { CartEvent } from './events.ts';
import { type CartFact, productIn } from './facts.ts';
import { completeMerge, handOver, notUsable, takeBack, takeIn } from './merge-decider.ts';
import { MAX_LINES, MAX_QUANTITY, mayUse, notSold, tooManyLines, tooManyPieces } from './policy.ts';
import { restore, undo } from './restore-decider.ts';
import { type CartState, evolveCart, isUsable, type KnownCart, type UsableCart } from './state.ts';

type CommandData<Type extends CartCommand['type']> = Extract<CartCommand, { type: Type }>['data'];
type Context = DecisionContext<CartFact>;

/** What shoppers do to a cart that is there. */
type Change = Extract<
  CartCommand,
  | { type: 'AddItemToCart' | 'ChangeItemQuantity' | 'RemoveItemFromCart' | 'ClearCart' }
  | { type: 'ApplyCoupon' | 'RemoveCoupon' | 'MergeCarts' | 'CheckOutCart' | 'RestoreCart' | 'UndoCartChange' }
>;

export const cartDecider: Decider<CartState, CartCommand, CartEvent, CartFact> = {
  initialState: { status: 'unknown' },
  decide(command, state, context) {
    if (command.type === 'CreateCart') return create(command.data, state, context.actor);
    // A process may do no more than whoever it works for.
    const user = 'requestedBy' in command.data ? command.data.requestedBy : context.actor;
    // Whose cart it is, is for nobody else to know: to others it is not there.
    if (state.status === 'unknown' || !mayUse(user, state.customerId)) return notFound('cart', command.data.cartId);
    switch (command.type) {
      case 'AbandonCart':
        return abandon(command.data, state);
      case 'HandOverCartLines':
        return handOver(command.data, state);
      case 'TakeInCartLines': {
        const { cartId, mergeId } = command.data;
        if (state.takenIn.has(mergeId)) return [];
        return inUse(cartId, state, (cart) => takeIn(command.data, cart));
      }
      case 'CompleteCartMerge':
        return completeMerge(command.data, state);
      case 'TakeBackCartLines':
        return takeBack(command.data, state);
      case 'CompleteCartCheckOut':
        return completeCheckOut(command.data, state);
      case 'CancelCartCheckOut':
        return cancelCheckOut(command.data, state);
      default:
        return inUse(command.data.cartId, state, (cart) => change(command, cart, context));
    }
  },
  evolve: evolveCart,
};

/** Decides on a cart that may be changed. One that was abandoned is reopened by whatever changes it. */
function inUse(
  cartId: string,
  cart: KnownCart,
  decide: (cart: UsableCart) => Decision<CartEvent>,
): Decision<CartEvent> {
  if (!isUsable(cart)) return notUsable(cartId, cart);
  const decision = decide(cart);
  if (cart.status === 'open' || isRejection(decision) || decision.length === 0) return decision;
  return [{ type: 'CartReopened', data: { lineCount: cart.lines.size } }, ...decision];
}

function change(command: Change, cart: UsableCart, context: Context): Decision<CartEvent> {
  switch (command.type) {
    case 'AddItemToCart':
      return addItem(command.data, cart, context);
    case 'ChangeItemQuantity':
      return changeQuantity(command.data, cart, context);
    case 'RemoveItemFromCart':
      return removeItem(command.data, cart);
    case 'ClearCart':
      return cart.lines.size === 0 ? [] : [{ type: 'CartCleared', data: { lineCount: cart.lines.size } }];
    case 'ApplyCoupon':
      return applyCoupon(command.data, cart, context.facts, context.now);
    case 'RemoveCoupon':
      return removeCoupon(command.data, cart);
    case 'CheckOutCart':
      return checkOut(command.data, cart, context.actor);
    case 'MergeCarts':
      return [{ type: 'CartMergeRequested', data: { fromCartId: command.data.fromCartId } }];
    case 'RestoreCart':
      return restore(command.data, cart, context);
    case 'UndoCartChange':
      return undo(command.data, cart, context);
    default:
      return command satisfies never;
  }
}

function create({ cartId, currency }: CommandData<'CreateCart'>, state: CartState, actor: Actor): Decision<CartEvent> {
  if (state.status !== 'unknown') {
    const shown = state.status.toUpperCase();
    return illegalState(shown, `There is a cart ${cartId} already: go on with it, or choose another newCartId.`);
  }
  return [{ type: 'CartCreated', data: { currency, customerId: actor.kind === 'CUSTOMER' ? actor.id : null } }];
}

function abandon({ cartId }: CommandData<'AbandonCart'>, cart: KnownCart): Decision<CartEvent> {
  if (!isUsable(cart)) return notUsable(cartId, cart);
  return cart.status === 'abandoned' ? [] : [{ type: 'CartAbandoned', data: { lineCount: cart.lines.size } }];
}

function addItem(data: CommandData<'AddItemToCart'>, cart: UsableCart, { facts }: Context): Decision<CartEvent> {
  const { sku, quantity } = data;
  const product = productIn(facts, sku);
  if (product === undefined) return notFound('product', sku);
  if (!product.active) return notSold(sku);
  if (product.currency !== cart.currency)
    return currencyMismatch('the product is sold', cart.currency, product.currency);
  const present = cart.lines.get(sku)?.quantity;
  if (present === undefined && cart.lines.size >= MAX_LINES) return tooManyLines();
  const total = (present ?? 0) + quantity;
  if (total > MAX_QUANTITY) return tooManyPieces(sku);
  if (total > product.available) return insufficientStock(sku, total, product.available);
  const unitPrice = { amountMinor: product.priceMinor, currency: product.currency };
  return [{ type: 'ItemAddedToCart', data: { sku, name: product.name, quantity, unitPrice } }];
}

function changeQuantity(
  data: CommandData<'ChangeItemQuantity'>,
  cart: UsableCart,
  { facts }: Context,
): Decision<CartEvent> {
  const { sku, quantity } = data;
  const previousQuantity = cart.lines.get(sku)?.quantity;
  if (previousQuantity === undefined) return notFound('line of', sku);
  if (quantity === previousQuantity) return [];
  if (quantity > MAX_QUANTITY) return tooManyPieces(sku);
  const product = productIn(facts, sku);
  const available = product?.available ?? 0;
  // Fewer is always possible, also of what is meanwhile scarce or not sold any more.
  if (quantity > previousQuantity && product?.active === false) return notSold(sku);
  if (quantity > previousQuantity && quantity > available) return insufficientStock(sku, quantity, available);
  return [{ type: 'ItemQuantityChanged', data: { sku, quantity, previousQuantity } }];
}

function removeItem({ sku }: CommandData<'RemoveItemFromCart'>, cart: UsableCart): Decision<CartEvent> {
  const quantity = cart.lines.get(sku)?.quantity;
  if (quantity === undefined) return notFound('line of', sku);
  return [{ type: 'ItemRemovedFromCart', data: { sku, quantity } }];
}
