import { type Actor, actsForStaff } from '../../eventsourcing/actor.ts';
import type { Decider, Decision, DecisionContext } from '../../eventsourcing/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/rejection.ts';
import { currencyMismatch, insufficientStock, limitExceeded } from '../rejections.ts';
import type { CartCommand } from './commands.ts';
import type { CartEvent } from './events.ts';
import type { CartProductRow } from './product-copy.ts';

export const MAX_LINES = 500;
export const MAX_QUANTITY = 10_000;

export type CartState =
  | { status: 'unknown' }
  | { status: 'open'; currency: string; customerId: string | null; quantities: ReadonlyMap<string, number> };
type OpenCart = Extract<CartState, { status: 'open' }>;
type CommandData<Type extends CartCommand['type']> = Extract<CartCommand, { type: Type }>['data'];
type Context = DecisionContext<CartProductRow>;

export const cartDecider: Decider<CartState, CartCommand, CartEvent, CartProductRow> = {
  initialState: { status: 'unknown' },
  decide(command, state, context) {
    if (command.type === 'CreateCart') return create(command.data, state, context.actor);
    // Whose cart it is, is for nobody else to know: to others it is not there.
    if (state.status === 'unknown' || !mayUse(context.actor, state.customerId)) {
      return notFound('cart', command.data.cartId);
    }
    switch (command.type) {
      case 'AddItemToCart':
        return addItem(command.data, state, context);
      case 'ChangeItemQuantity':
        return changeQuantity(command.data, state, context);
      case 'RemoveItemFromCart':
        return removeItem(command.data, state);
      case 'ClearCart':
        return state.quantities.size === 0 ? [] : [{ type: 'CartCleared', data: { lineCount: state.quantities.size } }];
      default:
        return command satisfies never;
    }
  },
  evolve(state, event) {
    if (event.type === 'CartCreated') return { status: 'open', ...event.data, quantities: new Map() };
    if (state.status === 'unknown') return state;
    const { quantities } = state;
    switch (event.type) {
      case 'ItemAddedToCart': {
        const { sku, quantity } = event.data;
        return withQuantity(state, sku, (quantities.get(sku) ?? 0) + quantity);
      }
      case 'ItemQuantityChanged':
        return withQuantity(state, event.data.sku, event.data.quantity);
      case 'ItemRemovedFromCart':
        return { ...state, quantities: new Map([...quantities].filter(([sku]) => sku !== event.data.sku)) };
      case 'CartCleared':
        return { ...state, quantities: new Map() };
      default:
        return event satisfies never;
    }
  },
};

/** A guest's cart is for whoever knows its id; a customer's for the customer, and for staff. */
export function mayUse(actor: Actor, customerId: string | null): boolean {
  return customerId === null || actsForStaff(actor) || (actor.kind === 'CUSTOMER' && actor.id === customerId);
}

function create({ cartId, currency }: CommandData<'CreateCart'>, state: CartState, actor: Actor): Decision<CartEvent> {
  if (state.status !== 'unknown')
    return illegalState('OPEN', `There is a cart ${cartId} already: go on with it, or choose another newCartId.`);
  return [{ type: 'CartCreated', data: { currency, customerId: actor.kind === 'CUSTOMER' ? actor.id : null } }];
}

function addItem(data: CommandData<'AddItemToCart'>, cart: OpenCart, { facts }: Context): Decision<CartEvent> {
  const { sku, quantity } = data;
  const product = facts.get(sku);
  if (product === undefined) return notFound('product', sku);
  if (!product.active) return notSold(sku);
  if (product.currency !== cart.currency) return currencyMismatch(cart.currency, product.currency);
  const present = cart.quantities.get(sku);
  if (present === undefined && cart.quantities.size >= MAX_LINES) {
    return limitExceeded(MAX_LINES, `A cart has at most ${MAX_LINES} lines.`);
  }
  const total = (present ?? 0) + quantity;
  if (total > MAX_QUANTITY) return tooMany(sku);
  if (total > product.available) return insufficientStock(sku, total, product.available);
  const unitPrice = { amountMinor: product.priceMinor, currency: product.currency };
  return [{ type: 'ItemAddedToCart', data: { sku, name: product.name, quantity, unitPrice } }];
}

function changeQuantity(
  data: CommandData<'ChangeItemQuantity'>,
  cart: OpenCart,
  { facts }: Context,
): Decision<CartEvent> {
  const { sku, quantity } = data;
  const previousQuantity = cart.quantities.get(sku);
  if (previousQuantity === undefined) return notFound('line of', sku);
  if (quantity === previousQuantity) return [];
  if (quantity > MAX_QUANTITY) return tooMany(sku);
  const product = facts.get(sku);
  const available = product?.available ?? 0;
  // Fewer is always possible, also of what is meanwhile scarce or not sold any more.
  if (quantity > previousQuantity && product?.active === false) return notSold(sku);
  if (quantity > previousQuantity && quantity > available) return insufficientStock(sku, quantity, available);
  return [{ type: 'ItemQuantityChanged', data: { sku, quantity, previousQuantity } }];
}

function removeItem({ sku }: CommandData<'RemoveItemFromCart'>, cart: OpenCart): Decision<CartEvent> {
  const quantity = cart.quantities.get(sku);
  if (quantity === undefined) return notFound('line of', sku);
  return [{ type: 'ItemRemovedFromCart', data: { sku, quantity } }];
}

function notSold(sku: string) {
  return illegalState('INACTIVE', `The product ${sku} is not sold any more.`);
}

function tooMany(sku: string) {
  return limitExceeded(MAX_QUANTITY, `A cart has at most ${MAX_QUANTITY} pieces of a product, here ${sku}.`);
}

function withQuantity(cart: OpenCart, sku: string, quantity: number): OpenCart {
  return { ...cart, quantities: new Map(cart.quantities).set(sku, quantity) };
}
