import { z } from 'zod';
import { personal } from '../../eventsourcing/log/codec.ts';
import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { Projection } from '../../eventsourcing/projections/projection.ts';
import { column, type ReadTable } from '../../eventsourcing/projections/read-table.ts';
import {
  type PaymentMessage,
  paymentMessage,
  paymentSourcesOf,
  paymentView,
  showPayment,
} from '../payment/messages.ts';
import {
  type ShipmentMessage,
  shipmentMessage,
  shipmentSourcesOf,
  shipmentView,
  showShipment,
} from '../shipping/messages.ts';
import { address, discount } from '../values.ts';
import { orderEvents } from './events.ts';

const orderLineRow = z.object({
  sku: z.string(),
  name: z.string(),
  quantity: z.number(),
  returned: z.number(),
  unitPriceMinor: z.number(),
});
export type OrderLineRow = z.output<typeof orderLineRow>;

export const ORDER_STATUSES = [
  'PLACED',
  'PAID',
  'PREPARING',
  'SHIPPED',
  'DELIVERED',
  'CANCELLED',
  'PARTIALLY_RETURNED',
  'RETURNED',
] as const;

/** An order as a screen shows it, with its payments and shipments. */
export const orderRow = z.object({
  id: z.string(),
  number: z.string(),
  status: z.enum(ORDER_STATUSES),
  /** Possibly in a customer's own words. */
  statusReason: personal(z.string(), 'customerId'),
  customerId: z.string(),
  ownerId: z.string().nullable(),
  currency: z.string(),
  lines: z.array(orderLineRow),
  discounts: z.array(discount),
  totalMinor: column.safeInt(),
  email: personal(z.string(), 'customerId'),
  shippingAddress: personal(address, 'customerId'),
  payments: z.array(paymentView),
  shipments: z.array(shipmentView),
  paymentDeadline: column.instant(),
  correlationId: z.string(),
  version: z.number(),
  position: column.safeInt(),
  placedPosition: column.safeInt(),
  placedAt: column.instant(),
  updatedAt: column.instant(),
});
export type OrderRow = z.output<typeof orderRow>;

const orderTable: ReadTable<OrderRow> = { name: 'order_view', key: 'id', row: orderRow };

type RecordedOrderEvent = RecordedEventOf<(typeof orderEvents)[number]>;

const PAYMENT_SOURCES = paymentSourcesOf(
  'PaymentRequested',
  'PaymentActionRequired',
  'PaymentAuthorised',
  'PaymentConfirmed',
  'PaymentFailed',
  'PaymentTimedOut',
  'PaymentCancelled',
  'PaymentVoided',
  'PaymentRefundRequested',
  'PaymentRefunded',
  'PaymentRefundFailed',
);
const SHIPMENT_SOURCES = shipmentSourcesOf(
  'ShipmentRequested',
  'ShipmentPrepared',
  'ShipmentHandedOver',
  'ShipmentDelivered',
  'ShipmentCancelled',
);

export const orderProjection: Projection<OrderRow> = {
  name: 'ordering.orders',
  version: 1,
  table: orderTable,
  eventTypes: [...orderEvents.map(({ type }) => type), ...PAYMENT_SOURCES, ...SHIPMENT_SOURCES],
  keyOf(event) {
    if (PAYMENT_SOURCES.includes(event.type)) return paymentMessage(event).orderId;
    return SHIPMENT_SOURCES.includes(event.type) ? shipmentMessage(event).orderId : event.aggregateId;
  },
  evolveRow: (row, event) => evolve(row, event),
  streamsOf: ({ id, payments, shipments }) => [
    streamIdOf('order', id),
    ...payments.map(({ paymentId }) => streamIdOf('payment', paymentId)),
    ...shipments.map(({ shipmentId }) => streamIdOf('shipment', shipmentId)),
  ],
};

function evolve(row: OrderRow | undefined, event: RecordedEvent): OrderRow | undefined {
  const { type, position, recordedAt: updatedAt } = event;
  if (type === 'OrderPlaced') return placed(event as Extract<RecordedOrderEvent, { type: 'OrderPlaced' }>);
  if (row === undefined) return undefined;
  const now = { ...row, position, updatedAt };
  if (PAYMENT_SOURCES.includes(type)) return { ...now, payments: withPayment(row.payments, paymentMessage(event)) };
  if (SHIPMENT_SOURCES.includes(type)) {
    return { ...now, shipments: withShipment(row.shipments, shipmentMessage(event)) };
  }
  return { ...now, version: event.version, ...changesOf(row, event as OrderChange) };
}

type OrderChange = Exclude<RecordedOrderEvent, { type: 'OrderPlaced' }>;

function changesOf(row: OrderRow, event: OrderChange): Partial<OrderRow> {
  switch (event.type) {
    case 'OrderPaymentRequested':
    case 'OrderRefunded':
      return {};
    case 'OrderPaymentFailed':
      return { statusReason: event.data.reason };
    case 'OrderPaid':
      return { status: 'PAID', statusReason: null };
    case 'OrderPreparationBegan':
      return { status: 'PREPARING' };
    case 'OrderShipped':
      return { status: 'SHIPPED' };
    case 'OrderDelivered':
      return { status: 'DELIVERED' };
    case 'OrderCancellationRequested':
      return { statusReason: 'CANCELLING' };
    case 'OrderCancellationRefused':
      return { statusReason: null };
    case 'OrderCancelled':
      return { status: 'CANCELLED', statusReason: event.data.reason };
    case 'OrderItemsReturned': {
      const back = new Map(event.data.lines.map(({ sku, quantity }) => [sku, quantity]));
      const lines = row.lines.map((line) => ({ ...line, returned: line.returned + (back.get(line.sku) ?? 0) }));
      const isAll = lines.every(({ quantity, returned }) => returned === quantity);
      return { lines, status: isAll ? 'RETURNED' : 'PARTIALLY_RETURNED', statusReason: event.data.reason };
    }
    default:
      return event satisfies never;
  }
}

function placed(event: Extract<RecordedOrderEvent, { type: 'OrderPlaced' }>): OrderRow {
  const { aggregateId: id, position, recordedAt, correlationId, version } = event;
  const { number, customerId, ownerId, currency, lines, discounts, totalMinor, email, shippingAddress } = event.data;
  return {
    id,
    number,
    status: 'PLACED',
    statusReason: null,
    customerId,
    ownerId,
    currency,
    lines: lines.map(({ unitPrice, ...line }) => ({ ...line, returned: 0, unitPriceMinor: unitPrice.amountMinor })),
    discounts,
    totalMinor,
    email,
    shippingAddress,
    payments: [],
    shipments: [],
    paymentDeadline: new Date(event.data.paymentDeadline),
    correlationId,
    version,
    position,
    placedPosition: position,
    placedAt: recordedAt,
    updatedAt: recordedAt,
  };
}

function withPayment(payments: OrderRow['payments'], message: PaymentMessage): OrderRow['payments'] {
  const at = payments.findIndex(({ paymentId }) => paymentId === message.paymentId);
  const shown = showPayment(payments[at], message);
  if (shown === undefined) return payments;
  return at < 0 ? [...payments, shown] : payments.with(at, shown);
}

function withShipment(shipments: OrderRow['shipments'], message: ShipmentMessage): OrderRow['shipments'] {
  const at = shipments.findIndex(({ shipmentId }) => shipmentId === message.shipmentId);
  const shown = showShipment(shipments[at], message);
  if (shown === undefined) return shipments;
  return at < 0 ? [...shipments, shown] : shipments.with(at, shown);
}
