import type { Notice, NotificationRequest } from '../contexts/notification/messages.ts';
import { type OrderMessage, orderMessage, orderSourcesOf, PAYMENT_TIMED_OUT } from '../contexts/ordering/messages.ts';
import { idCausedBy } from '../eventsourcing/processes/effect-work.ts';
import type { ProcessContext, ProcessEffect, ProcessManager } from '../eventsourcing/processes/process-manager.ts';
import { type NoticeEvent, noticeEvents, viewOfNotice } from './customer-notices.ts';

/** Whom to tell of an order, once it is placed. `email` is null where it is forgotten. */
export type TellingState =
  | { readonly status: 'not placed' }
  | {
      readonly status: 'placed';
      readonly number: string;
      readonly paymentDeadline: string;
      readonly customerId: string;
      readonly email: string | null;
    };

type Placed = Extract<OrderMessage, { type: 'OrderPlaced' }>;
type Later = Exclude<OrderMessage, Placed>;
type PlacedOrder = Extract<TellingState, { status: 'placed' }>;

/**
 * Tells customers by mail what becomes of their orders. One instance for each order.
 *
 * It asks for a mail, and does not wait for it: one that cannot be sent says so itself, among the notifications or the
 * dead letters, and holds up no other. Where somebody was forgotten it asks all the same: what they were not told is on
 * record then.
 */
export const tellingCustomers: ProcessManager<TellingState, OrderMessage, NoticeEvent> = {
  name: 'telling-customers',
  description: 'Tells customers by mail what becomes of their orders.',
  events: noticeEvents,
  eventTypes: orderSourcesOf(
    'OrderPlaced',
    'OrderPaymentFailed',
    'OrderCancelled',
    'OrderShipped',
    'OrderDelivered',
    'OrderRefunded',
  ),
  instanceOf: (event) => event.aggregateId,
  messageOf: orderMessage,
  endsWith: ['OrderNoticeRequested'],
  initialState: { status: 'not placed' },
  decide(input, state) {
    if (input.kind !== 'message') return [];
    const { message } = input;
    if (message.type === 'OrderPlaced') return state.status === 'placed' ? [] : onPlaced(message);
    return state.status === 'placed' ? onLater(message, state) : [];
  },
  evolve(state, event) {
    return event.type === 'OrderRecipientNoted' ? { status: 'placed', ...event.data } : state;
  },
  effectsOf,
  view: viewOfNotice,
};

function onPlaced(message: Placed): NoticeEvent[] {
  const { orderId, number, paymentDeadline, customerId, email, currency } = message;
  const sum = (amountMinor: number) => ({ amountMinor, currency });
  const notice: Notice = {
    template: 'ORDER_PLACED',
    number,
    lines: message.lines.map(({ name, quantity, unitPrice }) => ({
      name,
      quantity,
      total: { amountMinor: quantity * unitPrice.amountMinor, currency: unitPrice.currency },
    })),
    discounts: message.discounts.map(({ label, amount }) => ({ label, amount })),
    total: sum(message.totalMinor),
    payUntil: paymentDeadline,
  };
  return [
    { type: 'OrderRecipientNoted', data: { number, paymentDeadline, customerId, email } },
    requested(orderId, orderId, notice),
  ];
}

function onLater(message: Later, { number, paymentDeadline }: PlacedOrder): NoticeEvent[] {
  const { orderId } = message;
  switch (message.type) {
    case 'OrderPaymentFailed':
      return [requested(orderId, message.paymentId, { template: 'PAYMENT_FAILED', number, payUntil: paymentDeadline })];
    case 'OrderCancelled': {
      // Why somebody cancelled it is in their own words: they know it, and it may say more of them than a mail should.
      const template = message.reason === PAYMENT_TIMED_OUT ? 'PAYMENT_TIMED_OUT' : 'ORDER_CANCELLED';
      return [requested(orderId, orderId, { template, number })];
    }
    case 'OrderShipped': {
      const { carrier, trackingCode } = message;
      return [requested(orderId, orderId, { template: 'ORDER_SHIPPED', number, carrier, trackingCode })];
    }
    case 'OrderDelivered':
      return [requested(orderId, orderId, { template: 'ORDER_DELIVERED', number })];
    case 'OrderRefunded':
      return [requested(orderId, message.refundId, { template: 'ORDER_REFUNDED', number, amount: message.amount })];
    default:
      return [];
  }
}

/** @param cause what of the order is told: the same twice is one mail */
function requested(orderId: string, cause: string, notice: Notice): NoticeEvent {
  const notificationId = idCausedBy('notification', orderId, notice.template, cause);
  return { type: 'OrderNoticeRequested', data: { notificationId, notice } };
}

function effectsOf(
  event: NoticeEvent,
  state: TellingState,
  { instanceId: orderId }: ProcessContext,
): readonly ProcessEffect[] {
  if (event.type !== 'OrderNoticeRequested' || state.status !== 'placed') return [];
  const { customerId, email: to } = state;
  const { notificationId, notice } = event.data;
  const command: NotificationRequest = {
    type: 'SendNotification',
    data: { notificationId, orderId, customerId, to, notice },
  };
  return [{ kind: 'send', command }];
}
