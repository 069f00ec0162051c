import { z } from 'zod';
import type { RecordedEvent } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import { type CartMessage, cartMessage, cartSourcesOf, cartStreamOf } from '../cart/messages.ts';
import { orderMessage, orderSourcesOf } from '../ordering/messages.ts';
import { type PaymentView, paymentMessage, paymentSourcesOf, paymentView, showPayment } from '../payment/messages.ts';
import { shipmentMessage, shipmentSourcesOf } from '../shipping/messages.ts';

/** `REFUSED`: it never became an order. `ENDED`: it was delivered or cancelled. */
const PROGRESS = ['CHECKING_OUT', 'REFUSED', 'PLACED', 'ENDED'] as const;

/** An order from its check-out on, as far as it matters to whether somebody can be forgotten, and to what there is of them. */
export const customerOrderRow = z.object({
  orderId: z.string(),
  customerId: z.string(),
  cartId: z.string(),
  progress: z.enum(PROGRESS),
  payments: z.array(paymentView),
  shipmentIds: z.array(z.string()),
  /** It, or a payment of it, is under way. */
  isOpen: z.boolean(),
  position: column.safeInt(),
});
export type CustomerOrderRow = z.output<typeof customerOrderRow>;

const customerOrderTable: ReadTable<CustomerOrderRow> = {
  name: 'customer_order',
  key: 'orderId',
  row: customerOrderRow,
};

const CART_SOURCES = cartSourcesOf('CartCheckOutRequested', 'CartCheckOutCancelled');
const ORDER_SOURCES = orderSourcesOf('OrderPlaced', 'OrderDelivered', 'OrderCancelled');
const PAYMENT_SOURCES = paymentSourcesOf(
  'PaymentRequested',
  'PaymentActionRequired',
  'PaymentAuthorised',
  'PaymentConfirmed',
  'PaymentFailed',
  'PaymentTimedOut',
  'PaymentCancelled',
  'PaymentRefundRequested',
  'PaymentRefunded',
  'PaymentRefundFailed',
);
const SHIPMENT_SOURCES = shipmentSourcesOf('ShipmentRequested');
const PAYING: readonly PaymentView['status'][] = ['REQUESTED', 'REQUIRES_ACTION', 'REFUND_REQUESTED'];

/** Customers' own copy of orders and payments: one row for each order. */
export const customerOrderProjection: Projection<CustomerOrderRow> = {
  name: 'customers.orders',
  version: 1,
  table: customerOrderTable,
  eventTypes: [...CART_SOURCES, ...ORDER_SOURCES, ...PAYMENT_SOURCES, ...SHIPMENT_SOURCES],
  keyOf(event) {
    if (CART_SOURCES.includes(event.type)) return checkOutOf(event).orderId;
    if (PAYMENT_SOURCES.includes(event.type)) return paymentMessage(event).orderId;
    return SHIPMENT_SOURCES.includes(event.type) ? shipmentMessage(event).orderId : event.aggregateId;
  },
  evolveRow(row, event) {
    const changed = evolve(row, event);
    if (changed === undefined || changed === row) return row;
    const { progress, payments } = changed;
    const isUnderWay = progress === 'CHECKING_OUT' || progress === 'PLACED';
    const isOpen = isUnderWay || payments.some(({ status }) => PAYING.includes(status));
    return { ...changed, isOpen, position: event.position };
  },
  streamsOf: ({ orderId, cartId, payments, shipmentIds }) => [
    cartStreamOf(cartId),
    streamIdOf('order', orderId),
    ...payments.map(({ paymentId }) => streamIdOf('payment', paymentId)),
    ...shipmentIds.map((shipmentId) => streamIdOf('shipment', shipmentId)),
  ],
};

function evolve(row: CustomerOrderRow | undefined, event: RecordedEvent): CustomerOrderRow | undefined {
  const { type } = event;
  if (CART_SOURCES.includes(type)) return onCheckOut(row, checkOutOf(event));
  if (row === undefined) return undefined;
  if (PAYMENT_SOURCES.includes(type)) return withPayment(row, event);
  if (SHIPMENT_SOURCES.includes(type)) {
    const { shipmentId } = shipmentMessage(event);
    return row.shipmentIds.includes(shipmentId) ? row : { ...row, shipmentIds: [...row.shipmentIds, shipmentId] };
  }
  return { ...row, progress: orderMessage(event).type === 'OrderPlaced' ? 'PLACED' : 'ENDED' };
}

type CheckOut = Extract<CartMessage, { type: 'CartCheckOutRequested' | 'CartCheckOutCancelled' }>;

function checkOutOf(event: RecordedEvent): CheckOut {
  const message = cartMessage(event);
  if (message.type === 'CartCheckOutRequested' || message.type === 'CartCheckOutCancelled') return message;
  throw new Error(`${event.type} is no check-out.`);
}

/** Clients may choose the id of an order: another cart that was to become it changes nothing. */
function onCheckOut(row: CustomerOrderRow | undefined, message: CheckOut): CustomerOrderRow | undefined {
  const { cartId } = message;
  if (message.type === 'CartCheckOutCancelled') {
    return row?.cartId === cartId && row.progress === 'CHECKING_OUT' ? { ...row, progress: 'REFUSED' } : row;
  }
  if (row !== undefined && row.progress !== 'REFUSED') return row;
  const { orderId, customerId } = message;
  const begun = { progress: 'CHECKING_OUT', isOpen: true, position: 0 } as const;
  return { orderId, customerId, cartId, ...begun, payments: [], shipmentIds: [] };
}

function withPayment(row: CustomerOrderRow, event: RecordedEvent): CustomerOrderRow {
  const message = paymentMessage(event);
  const at = row.payments.findIndex(({ paymentId }) => paymentId === message.paymentId);
  const shown = showPayment(row.payments[at], message);
  if (shown === undefined) return row;
  return { ...row, payments: at < 0 ? [...row.payments, shown] : row.payments.with(at, shown) };
}
