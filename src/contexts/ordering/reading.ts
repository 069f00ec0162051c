import { streamIdOf } from '../../eventsourcing/stream-id.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { mayUse } from '../ownership.ts';
import { paymentMessage } from '../payment/messages.ts';
import { shipmentMessage } from '../shipping/messages.ts';
import { type OrderRow, orderProjection } from './projection.ts';

export type PaymentRow = OrderRow['payments'][number];
export type ShipmentRow = OrderRow['shipments'][number];

/** An order, if it is there and for the caller. */
export async function readOrder(id: string, { engine, actor }: RequestContext): Promise<OrderRow | undefined> {
  const row = await engine.view(orderProjection).read(id);
  return row !== undefined && mayUse(actor, row.ownerId) ? row : undefined;
}

/** A payment by its own id: its first event names the order that shows it. */
export async function readPayment(paymentId: string, context: RequestContext): Promise<PaymentRow | undefined> {
  const [first] = await context.engine.log.readStreams([streamIdOf('payment', paymentId)], 0, 1);
  const order = first === undefined ? undefined : await readOrder(paymentMessage(first).orderId, context);
  return order?.payments.find((it) => it.paymentId === paymentId);
}

/** A shipment by its own id: its first event names the order that shows it. */
export async function readShipment(shipmentId: string, context: RequestContext): Promise<ShipmentRow | undefined> {
  const [first] = await context.engine.log.readStreams([streamIdOf('shipment', shipmentId)], 0, 1);
  const order = first === undefined ? undefined : await readOrder(shipmentMessage(first).orderId, context);
  return order?.shipments.find((it) => it.shipmentId === shipmentId);
}
