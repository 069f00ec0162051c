import type { Actor } from '../../eventsourcing/actor.ts';
import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Address, Discount, MovedLine, OrderedLine } from '../values.ts';
import type { CartCommand } from './commands.ts';
import type { CouponCommand } from './coupon-commands.ts';
import { couponEvents } from './coupon-events.ts';
import { type CartEvent, cartEvents } from './events.ts';

/** The cart that a message is about, and how many events it has. */
interface OfCart {
  readonly cartId: string;
  readonly version: number;
}

/** `mergeId` is that of the command that asked for the merge. */
interface OfMerge extends OfCart {
  readonly mergeId: string;
  readonly fromCartId: string;
  readonly intoCartId: string;
}

/** What cart tells other contexts and processes: a published language, kept apart from its own events. */
export type CartMessage =
  | ({ readonly type: 'CartOpened' | 'CartChanged' | 'CartReopened' | 'CartAbandoned' } & OfCart)
  /** Asked for of the cart that the lines are to move into. */
  | ({ readonly type: 'CartMergeRequested'; readonly requestedBy: Actor } & OfMerge)
  | ({
      readonly type: 'CartLinesHandedOver';
      readonly currency: string;
      readonly lines: readonly MovedLine[];
    } & OfMerge)
  | ({ readonly type: 'CartLinesTakenIn' | 'CartMerged' | 'CartLinesTakenBack' } & OfMerge)
  | CartCheckOutRequested
  | ({ readonly type: 'CartCheckedOut'; readonly orderId: string } & OfCart)
  | ({ readonly type: 'CartCheckOutCancelled'; readonly orderId: string; readonly reason: string } & OfCart);

/** All that an order is made of. Personal data is null once it is forgotten. */
export interface CartCheckOutRequested extends OfCart {
  readonly type: 'CartCheckOutRequested';
  readonly orderId: string;
  /** That asked for it, and is to be concluded. */
  readonly commandId: string;
  /** Whose data it is: never null, also of a guest. */
  readonly customerId: string;
  /** The customer whose order it will be; null for a guest. */
  readonly ownerId: string | null;
  readonly currency: string;
  readonly lines: readonly OrderedLine[];
  readonly discounts: readonly Discount[];
  readonly couponCode: string | null;
  readonly email: string | null;
  readonly shippingAddress: Address | null;
}

/** What coupons tell. */
export type CouponMessage = {
  readonly type: 'CouponRedeemed' | 'CouponReleased';
  readonly code: string;
  readonly orderId: string;
};

/** What processes may ask of a cart, and of a coupon. */
export type CartRequest =
  | Extract<
      CartCommand,
      { type: 'AbandonCart' | 'HandOverCartLines' | 'TakeInCartLines' | 'CompleteCartMerge' | 'TakeBackCartLines' }
    >
  | Extract<CartCommand, { type: 'CompleteCartCheckOut' | 'CancelCartCheckOut' }>
  | Extract<CouponCommand, { type: 'RedeemCoupon' | 'ReleaseCoupon' }>;

const MESSAGE_TYPES: Readonly<Record<CartEvent['type'], CartMessage['type']>> = {
  CartCreated: 'CartOpened',
  ItemAddedToCart: 'CartChanged',
  ItemQuantityChanged: 'CartChanged',
  ItemRemovedFromCart: 'CartChanged',
  CartCleared: 'CartChanged',
  CartAbandoned: 'CartAbandoned',
  CartReopened: 'CartReopened',
  CartMergeRequested: 'CartMergeRequested',
  CartLinesHandedOver: 'CartLinesHandedOver',
  CartLinesTakenIn: 'CartLinesTakenIn',
  CartMerged: 'CartMerged',
  CartLinesTakenBack: 'CartLinesTakenBack',
  CouponApplied: 'CartChanged',
  CouponRemoved: 'CartChanged',
  CartCheckOutStarted: 'CartCheckOutRequested',
  CartCheckedOut: 'CartCheckedOut',
  CartCheckOutCancelled: 'CartCheckOutCancelled',
  CartRestored: 'CartChanged',
};

/** The types of the events that become messages. */
export const cartMessageSources: readonly string[] = cartEvents.map(({ type }) => type);

/** The types of the events that become messages of these types. */
export function cartSourcesOf(...types: readonly CartMessage['type'][]): readonly string[] {
  return cartEvents.map(({ type }) => type).filter((it) => types.includes(MESSAGE_TYPES[it]));
}

/** The stream whose events become the messages of a cart. */
export function cartStreamOf(cartId: string): string {
  return streamIdOf('cart', cartId);
}

/** The message that an event of a cart is published as. */
export function cartMessage(recorded: RecordedEvent): CartMessage {
  const event = recorded as RecordedEventOf<(typeof cartEvents)[number]>;
  const { aggregateId: cartId, version } = event;
  switch (event.type) {
    case 'CartCreated':
      return { type: 'CartOpened', cartId, version };
    case 'ItemAddedToCart':
    case 'ItemQuantityChanged':
    case 'ItemRemovedFromCart':
    case 'CartCleared':
    case 'CouponApplied':
    case 'CouponRemoved':
    case 'CartRestored':
      return { type: 'CartChanged', cartId, version };
    case 'CartAbandoned':
    case 'CartReopened':
      return { type: event.type, cartId, version };
    case 'CartMergeRequested': {
      // Every merge was asked for by a command; one that was not would be nobody's to conclude.
      const mergeId = event.commandId ?? event.eventId;
      const { fromCartId } = event.data;
      return { type: event.type, cartId, version, mergeId, fromCartId, intoCartId: cartId, requestedBy: event.actor };
    }
    case 'CartLinesHandedOver':
      return { type: event.type, cartId, version, fromCartId: cartId, ...event.data };
    case 'CartLinesTakenIn': {
      const { mergeId, fromCartId } = event.data;
      return { type: event.type, cartId, version, mergeId, fromCartId, intoCartId: cartId };
    }
    case 'CartMerged':
    case 'CartLinesTakenBack':
      return { type: event.type, cartId, version, fromCartId: cartId, ...event.data };
    case 'CartCheckOutStarted': {
      // Every check-out was asked for by a command; one that was not would be nobody's to conclude.
      const commandId = event.commandId ?? event.eventId;
      return { type: 'CartCheckOutRequested', cartId, version, commandId, ...event.data };
    }
    case 'CartCheckedOut':
      return { type: event.type, cartId, version, ...event.data };
    case 'CartCheckOutCancelled':
      return { type: event.type, cartId, version, ...event.data };
    default:
      return event satisfies never;
  }
}

/** The types of the events that become messages of coupons of these types. */
export function couponSourcesOf(...types: readonly CouponMessage['type'][]): readonly string[] {
  return couponEvents.map(({ type }) => type).filter((type) => type !== 'CouponAdded' && types.includes(type));
}

/** The message that an event of a coupon is published as; undefined for none. */
export function couponMessage(recorded: RecordedEvent): CouponMessage | undefined {
  const event = recorded as RecordedEventOf<(typeof couponEvents)[number]>;
  return event.type === 'CouponAdded' ? undefined : { type: event.type, ...event.data };
}
