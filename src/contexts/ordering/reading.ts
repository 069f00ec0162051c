import type { PointInTime } from '../../eventsourcing/history/time-travel.ts';
import { mustBeReadable, type RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { idAsOf, splitId } from '../../graphql/global-id.ts';
import { type RowOfAnyTime, readAgain, readAsOf } from '../../graphql/time-travel.ts';
import { isUuid } from '../../platform/column-values.ts';
import { mayUse } from '../ownership.ts';
import { paymentMessage } from '../payment/messages.ts';
import { shipmentMessage } from '../shipping/messages.ts';
import type { orderEvents } from './events.ts';
import { type OrderRow, orderProjection } from './projection.ts';
import { evolveOrder } from './state.ts';

export type PaymentRow = OrderRow['payments'][number];
export type ShipmentRow = OrderRow['shipments'][number];
export type AnyOrder = RowOfAnyTime<OrderRow>;
export type AnyPayment = RowOfAnyTime<PaymentRow>;
export type AnyShipment = RowOfAnyTime<ShipmentRow>;

/** An order by its raw id, of now or of an earlier point, if it is there and for the caller. */
export async function readOrder(idOfAnyTime: string, context: RequestContext): Promise<AnyOrder | undefined> {
  const { id, asOf } = splitId(idOfAnyTime);
  const row =
    asOf === undefined
      ? await context.engine.view(orderProjection).read(id)
      : await readAgain(orderProjection, id, streamIdOf('order', id), asOf, context);
  return forCaller(row, context);
}

/** An order as it was, with its payments and shipments of then, if it is for the caller. */
export async function readPastOrder(
  id: string,
  point: PointInTime,
  context: RequestContext,
): Promise<AnyOrder | undefined> {
  return forCaller(await readAsOf(orderProjection, id, streamIdOf('order', id), point, context), context);
}

/** Whose order it is never changes: so its past is for the same people. */
function forCaller(row: AnyOrder | undefined, { actor }: RequestContext): AnyOrder | undefined {
  return row !== undefined && mayUse(actor, row.ownerId) ? row : undefined;
}

/**
 * Whom the personal data of an order belongs to, if the order is for the caller. As its own events say: the read table may
 * not have the order yet.
 */
export async function readCustomerId(orderId: string, { engine, actor }: RequestContext): Promise<string | undefined> {
  if (!isUuid(orderId)) return undefined;
  const [first] = await engine.log.readStreams([streamIdOf('order', orderId)], 0, 1);
  if (first === undefined) return undefined;
  mustBeReadable(first);
  const order = evolveOrder({ status: 'unknown' }, first as RecordedEventOf<(typeof orderEvents)[number]>);
  return order.status !== 'unknown' && mayUse(actor, order.ownerId) ? order.customerId : undefined;
}

/** A payment by its own id, of now or of an earlier point: its first event names the order that shows it. */
export async function readPayment(idOfAnyTime: string, context: RequestContext): Promise<AnyPayment | undefined> {
  const { id, asOf } = splitId(idOfAnyTime);
  const [first] = await context.engine.log.readStreams([streamIdOf('payment', id)], 0, 1);
  if (first !== undefined) mustBeReadable(first);
  const order = first && (await readOrder(idAsOf(paymentMessage(first).orderId, asOf), context));
  return order && paymentsOf(order).find((it) => it.paymentId === id);
}

/** A shipment by its own id, of now or of an earlier point: its first event names the order that shows it. */
export async function readShipment(idOfAnyTime: string, context: RequestContext): Promise<AnyShipment | undefined> {
  const { id, asOf } = splitId(idOfAnyTime);
  const [first] = await context.engine.log.readStreams([streamIdOf('shipment', id)], 0, 1);
  if (first !== undefined) mustBeReadable(first);
  const order = first && (await readOrder(idAsOf(shipmentMessage(first).orderId, asOf), context));
  return order && shipmentsOf(order).find((it) => it.shipmentId === id);
}

/** The payments of an order, as of the same point as the order. */
export function paymentsOf({ payments, asOf }: AnyOrder): readonly AnyPayment[] {
  return asOf === undefined ? payments : payments.map((it) => ({ ...it, asOf }));
}

/** The shipments of an order, as of the same point as the order. */
export function shipmentsOf({ shipments, asOf }: AnyOrder): readonly AnyShipment[] {
  return asOf === undefined ? shipments : shipments.map((it) => ({ ...it, asOf }));
}
