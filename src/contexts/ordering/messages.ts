import type { Actor } from '../../eventsourcing/actor.ts';
import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import type { Address, Discount, Money, OrderedLine } from '../values.ts';
import type { OrderCommand } from './commands.ts';
import type { orderEvents } from './events.ts';

/** Why an order was cancelled: in a word, for customers' own words stay with their order. */
export const CANCELLED_BY_CUSTOMER = 'CANCELLED_BY_CUSTOMER';
/** Why an order was cancelled that was not paid in time. */
export const PAYMENT_TIMED_OUT = 'PAYMENT_TIMED_OUT';

/** What ordering tells others: a published language, kept apart from its own events. */
export type OrderMessage =
  | {
      readonly type: 'OrderPlaced';
      readonly orderId: string;
      readonly number: string;
      readonly cartId: string;
      readonly customerId: string;
      /** Null: forgotten. */
      readonly email: string | null;
      /** Null: forgotten. */
      readonly shippingAddress: Address | null;
      readonly currency: string;
      readonly lines: readonly OrderedLine[];
      readonly discounts: readonly Discount[];
      readonly totalMinor: number;
      readonly paymentDeadline: string;
    }
  | {
      readonly type: 'OrderPaymentRequested';
      readonly orderId: string;
      readonly paymentId: string;
      /** The command that brought the means of payment, and waits for the outcome. */
      readonly commandId: string;
      readonly amount: Money;
    }
  | {
      readonly type: 'OrderPaymentFailed';
      readonly orderId: string;
      readonly paymentId: string;
      readonly reason: string;
    }
  | { readonly type: 'OrderPaid'; readonly orderId: string; readonly paymentId: string | null }
  | { readonly type: 'OrderPreparationBegan'; readonly orderId: string }
  | { readonly type: 'OrderShipped'; readonly orderId: string; readonly carrier: string; readonly trackingCode: string }
  | { readonly type: 'OrderDelivered'; readonly orderId: string; readonly shipmentId: string }
  | {
      readonly type: 'OrderCancellationRequested';
      readonly orderId: string;
      /** It waits for the outcome. */
      readonly commandId: string;
      readonly requestedBy: Actor;
    }
  | { readonly type: 'OrderCancellationRefused'; readonly orderId: string; readonly reason: string }
  | { readonly type: 'OrderCancelled'; readonly orderId: string; readonly reason: string }
  | {
      readonly type: 'OrderItemsReturned';
      readonly orderId: string;
      readonly returnId: string;
      readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
      readonly refund: Money;
    }
  | { readonly type: 'OrderRefunded'; readonly orderId: string; readonly refundId: string; readonly amount: Money };

/** What processes may ask of an order. */
export type OrderRequest = Extract<
  OrderCommand,
  {
    type:
      | 'PlaceOrder'
      | 'NoteOrderPaid'
      | 'NoteOrderPaymentFailed'
      | 'NoteOrderPreparation'
      | 'NoteOrderShipped'
      | 'NoteOrderDelivered'
      | 'CompleteOrderCancellation'
      | 'RefuseOrderCancellation'
      | 'NoteOrderRefunded';
  }
>;

/** The types of the events that become messages of these types: they have the same names. */
export function orderSourcesOf(...types: readonly OrderMessage['type'][]): readonly string[] {
  return types;
}

/** The message that an event of an order is published as. */
export function orderMessage(recorded: RecordedEvent): OrderMessage {
  const event = recorded as RecordedEventOf<(typeof orderEvents)[number]>;
  const { aggregateId: orderId } = event;
  // Every one of these was asked for by a command; one that was not would be nobody's to conclude.
  const commandId = event.commandId ?? event.eventId;
  switch (event.type) {
    case 'OrderPlaced': {
      const { ownerId: _, ...data } = event.data;
      return { type: event.type, orderId, ...data };
    }
    case 'OrderPaymentRequested':
      return { type: event.type, orderId, commandId, ...event.data };
    case 'OrderCancellationRequested':
      return { type: event.type, orderId, commandId, requestedBy: event.actor };
    case 'OrderPreparationBegan':
      return { type: event.type, orderId };
    case 'OrderPaid':
      return { type: event.type, orderId, ...event.data };
    case 'OrderPaymentFailed':
      return { type: event.type, orderId, ...event.data };
    case 'OrderShipped':
      return { type: event.type, orderId, ...event.data };
    case 'OrderDelivered':
      return { type: event.type, orderId, ...event.data };
    case 'OrderCancellationRefused':
      return { type: event.type, orderId, ...event.data };
    case 'OrderCancelled':
      return { type: event.type, orderId, ...event.data };
    case 'OrderItemsReturned': {
      const { returnId, lines, refund } = event.data;
      return { type: event.type, orderId, returnId, lines, refund };
    }
    case 'OrderRefunded':
      return { type: event.type, orderId, ...event.data };
    default:
      return event satisfies never;
  }
}
