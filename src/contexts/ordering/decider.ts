import type { Decider, Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import { mayUse } from '../ownership.ts';
import type { OrderCommand } from './commands.ts';
import type { OrderEvent } from './events.ts';
import { orderNumberOf } from './order-number.ts';
import { evolveOrder, type KnownOrder, type OrderState, subtotalOf } from './state.ts';

/** Each failed payment is a mail to an address that nobody has confirmed, and rows: enough for a wrong card, no more. */
const MAX_FAILED_PAYMENTS = 10;

type CommandData<Type extends OrderCommand['type']> = Extract<OrderCommand, { type: Type }>['data'];

/** An order: what a customer was promised, what became of it, and what was given back. */
export const orderDecider: Decider<OrderState, OrderCommand, OrderEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state, { actor, now }) {
    if (command.type === 'PlaceOrder') return place(command.data, state);
    const { orderId } = command.data;
    if (state.status === 'unknown') return notFound('order', orderId);
    switch (command.type) {
      case 'PayOrder':
      case 'CancelOrder':
      case 'ReturnItems':
        return mayUse(actor, state.ownerId) ? byOwner(command, state, now) : notFound('order', orderId);
      default:
        return byProcess(command, state);
    }
  },
  evolve: evolveOrder,
};

type OwnersCommand = Extract<OrderCommand, { type: 'PayOrder' | 'CancelOrder' | 'ReturnItems' }>;
type ProcessCommand = Exclude<OrderCommand, OwnersCommand | { type: 'PlaceOrder' }>;

function byOwner(command: OwnersCommand, state: KnownOrder, now: Date): Decision<OrderEvent> {
  switch (command.type) {
    case 'PayOrder':
      return pay(command.data, state, now);
    case 'CancelOrder':
      return cancel(command.data, state);
    case 'ReturnItems':
      return takeBack(command.data, state);
    default:
      return command satisfies never;
  }
}

function place(data: CommandData<'PlaceOrder'>, state: OrderState): Decision<OrderEvent> {
  if (state.status !== 'unknown') return [];
  const { orderId, ...content } = data;
  const subtotal = data.lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice.amountMinor, 0);
  const off = data.discounts.reduce((sum, { amount }) => sum + amount.amountMinor, 0);
  const totalMinor = Math.max(0, subtotal - off);
  return [{ type: 'OrderPlaced', data: { ...content, number: orderNumberOf(orderId), totalMinor } }];
}

function pay({ paymentId }: CommandData<'PayOrder'>, state: KnownOrder, now: Date): Decision<OrderEvent> {
  if (state.isCancelling) return isCancelling();
  switch (state.status) {
    case 'placed': {
      if (state.totalMinor === 0) return illegalState('NOTHING_TO_PAY', 'Nothing is to be paid: it goes on by itself.');
      if (now.toISOString() > state.paymentDeadline) {
        return illegalState('PAYMENT_OVERDUE', 'The time to pay this order is over: put it into a cart again.');
      }
      if (state.failedPayments >= MAX_FAILED_PAYMENTS) {
        const why = 'Ten payments of this order have failed: cancel it, and put it into a cart again.';
        return illegalState('TOO_MANY_PAYMENTS', why);
      }
      const amount = { amountMinor: state.totalMinor, currency: state.currency };
      return [{ type: 'OrderPaymentRequested', data: { paymentId, amount } }];
    }
    case 'paying':
      return illegalState('PAYING', 'A payment of this order is under way: wait for what becomes of it.');
    case 'cancelled':
      return illegalState('CANCELLED', 'The order was cancelled: put it into a cart again.');
    case 'paid':
    case 'preparing':
    case 'shipped':
    case 'delivered':
      return illegalState(state.status.toUpperCase(), 'The order is paid already.');
    default:
      return state.status satisfies never;
  }
}

function cancel({ reason }: CommandData<'CancelOrder'>, state: KnownOrder): Decision<OrderEvent> {
  if (state.isCancelling) return isCancelling();
  switch (state.status) {
    case 'placed':
    case 'paying':
    case 'paid':
    case 'preparing':
      return [{ type: 'OrderCancellationRequested', data: { customerId: state.customerId, reason } }];
    case 'shipped':
      return illegalState('SHIPPED', 'The order is on its way: return it once it is there.');
    case 'delivered':
      return illegalState('DELIVERED', 'The order was delivered: return what you do not want to keep.');
    case 'cancelled':
      return illegalState('CANCELLED', 'The order was cancelled before.');
    default:
      return state.status satisfies never;
  }
}

function isCancelling() {
  return illegalState('CANCELLING', 'The order is being cancelled: wait for what becomes of that.');
}

function takeBack({ returnId, lines, reason }: CommandData<'ReturnItems'>, state: KnownOrder): Decision<OrderEvent> {
  if (state.status !== 'delivered') {
    return illegalState(state.status.toUpperCase(), 'Only what was delivered can be returned.');
  }
  for (const { sku, quantity } of lines) {
    const line = state.lines.get(sku);
    if (line === undefined) return notFound('product in this order:', sku);
    const left = line.quantity - line.returned;
    if (quantity > left) return illegalState('RETURNED', `Of "${sku}", ${left} can be returned, not ${quantity}.`);
  }
  const refund = { amountMinor: refundFor(lines, state), currency: state.currency };
  const { customerId } = state;
  return [{ type: 'OrderItemsReturned', data: { returnId, lines, refund, customerId, reason } }];
}

/**
 * The share of what was paid that these pieces had in the order. Counted over all returns so far, so that the pennies
 * which are rounded away come back with the last piece.
 */
function refundFor(lines: CommandData<'ReturnItems'>['lines'], state: KnownOrder): number {
  const subtotal = subtotalOf(state.lines.values(), (line) => line.quantity);
  let backAgain = subtotalOf(state.lines.values(), (line) => line.returned);
  for (const { sku, quantity } of lines) backAgain += BigInt(quantity * (state.lines.get(sku)?.unitPriceMinor ?? 0));
  if (subtotal === 0n) return 0;
  return Number((BigInt(state.totalMinor) * backAgain) / subtotal) - state.refundedForReturnsMinor;
}

/** What a process tells again changes nothing; what cannot be any more is said to it. */
function byProcess(command: ProcessCommand, state: KnownOrder): Decision<OrderEvent> {
  const { status } = state;
  switch (command.type) {
    case 'NoteOrderPaymentFailed': {
      const { paymentId, reason } = command.data;
      if (state.paymentId !== paymentId) return [];
      return [{ type: 'OrderPaymentFailed', data: { paymentId, reason } }];
    }
    case 'NoteOrderPaid':
      if (status === 'placed' || status === 'paying') {
        return [{ type: 'OrderPaid', data: { paymentId: command.data.paymentId } }];
      }
      return status === 'cancelled' ? illegalState('CANCELLED', 'The order was cancelled.') : [];
    case 'NoteOrderPreparation':
      if (status !== 'paid') return [];
      return [{ type: 'OrderPreparationBegan', data: { shipmentId: command.data.shipmentId } }];
    case 'NoteOrderShipped': {
      const { carrier, trackingCode } = command.data;
      if (status !== 'paid' && status !== 'preparing') return [];
      return [{ type: 'OrderShipped', data: { carrier, trackingCode } }];
    }
    case 'NoteOrderDelivered':
      // What comes before it was given up, and is told again later. As `nothing new`, this would never be.
      if (status === 'paid' || status === 'preparing') {
        return illegalState(status.toUpperCase(), 'The order is not on its way yet: this is to be told again.');
      }
      return status === 'shipped' ? [{ type: 'OrderDelivered', data: { shipmentId: command.data.shipmentId } }] : [];
    case 'CompleteOrderCancellation':
      if (status === 'cancelled') return [];
      if (status === 'shipped' || status === 'delivered') {
        return illegalState(status.toUpperCase(), 'The order is on its way.');
      }
      return [{ type: 'OrderCancelled', data: { reason: command.data.reason } }];
    case 'RefuseOrderCancellation':
      return state.isCancelling ? [{ type: 'OrderCancellationRefused', data: { reason: command.data.reason } }] : [];
    case 'NoteOrderRefunded': {
      const { paymentId, refundId, amount } = command.data;
      return state.refunds.has(refundId) ? [] : [{ type: 'OrderRefunded', data: { paymentId, refundId, amount } }];
    }
    default:
      return command satisfies never;
  }
}
