import { describe, expect, test } from 'vitest';
import type { OrderEvent } from '../../src/contexts/ordering/events.ts';
import { type OrderRow, orderProjection, orderRow } from '../../src/contexts/ordering/projection.ts';
import type { PaymentEvent } from '../../src/contexts/payment/events.ts';
import type { ShipmentEvent } from '../../src/contexts/shipping/events.ts';
import { protectedFields } from '../../src/eventsourcing/log/codec.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { ADDRESS, CART, price } from '../support/carts.ts';
import {
  cancelled,
  cancelling,
  DEADLINE,
  delivered,
  NUMBER,
  notCancelled,
  OTHER_RETURN,
  orderStates,
  paymentFailed,
  placed,
  refunded,
  returned,
} from '../support/orders.ts';
import * as payments from '../support/payments.ts';
import { recorded } from '../support/recorded.ts';
import * as shipments from '../support/shipments.ts';

/** The events of payments and shipments in test/support are of this order. */
const { ORDER, PAYMENT, OTHER_PAYMENT } = payments;
const { SHIPMENT } = shipments;

const ofOrder = (...events: OrderEvent[]) => recorded('order', ORDER, events);
const ofPayment = (events: PaymentEvent[], paymentId = PAYMENT) => recorded('payment', paymentId, events);
const ofShipment = (...events: ShipmentEvent[]) => recorded('shipment', SHIPMENT, events);

function rowAfter(...events: readonly RecordedEvent[]): OrderRow {
  const row = events.reduce<OrderRow | undefined>(
    (before, event, at) => orderProjection.evolveRow(before, { ...event, position: at + 1 }),
    undefined,
  );
  if (row === undefined) throw new Error('There is no row.');
  return row;
}

describe('The view of an order', () => {
  test('shows what was placed', () => {
    const [first] = ofOrder(placed());
    expect(rowAfter(...ofOrder(placed()))).toEqual({
      ...{ id: ORDER, number: NUMBER, status: 'PLACED', statusReason: null, customerId: 'carla', ownerId: null },
      currency: 'GBP',
      lines: [
        { sku: 'A', name: 'Product A', quantity: 2, returned: 0, unitPriceMinor: 200 },
        { sku: 'B', name: 'Product B', quantity: 3, returned: 0, unitPriceMinor: 200 },
      ],
      ...{ discounts: [], totalMinor: 1000, email: 'carla@example.org', shippingAddress: ADDRESS },
      ...{ payments: [], shipments: [], paymentDeadline: new Date(DEADLINE), correlationId: expect.any(String) },
      ...{ version: 1, position: 1, placedPosition: 1, placedAt: first?.recordedAt, updatedAt: first?.recordedAt },
    });
    expect(rowAfter(...ofOrder(placed()))).not.toHaveProperty('cartId', CART);
  });

  const statuses = {
    placed: 'PLACED',
    paying: 'PLACED',
    paid: 'PAID',
    preparing: 'PREPARING',
    shipped: 'SHIPPED',
    delivered: 'DELIVERED',
    cancelled: 'CANCELLED',
  } as const;
  test.each(Object.keys(statuses) as (keyof typeof statuses)[])('shows how far it is: %s', (state) => {
    const events = orderStates[state];
    expect(rowAfter(...ofOrder(...events))).toMatchObject({ status: statuses[state], version: events.length });
  });

  test('shows why it stands as it does', () => {
    const reasonAfter = (...events: OrderEvent[]) => rowAfter(...ofOrder(placed(), ...events)).statusReason;
    expect(reasonAfter(paymentFailed())).toBe('card_declined');
    expect(reasonAfter(paymentFailed(), ...orderStates.paid.slice(1))).toBeNull();
    expect(reasonAfter(cancelling)).toBe('CANCELLING');
    expect(reasonAfter(cancelling, notCancelled)).toBeNull();
    expect(reasonAfter(cancelling, cancelled)).toBe('changed my mind');
  });

  test('shows what came back', () => {
    const some = [...orderStates.delivered, returned([{ sku: 'A', quantity: 2 }], 400)];
    const all = [...some, returned([{ sku: 'B', quantity: 3 }], 600, OTHER_RETURN), refunded('r1')];
    expect(rowAfter(...ofOrder(...some))).toMatchObject({
      ...{ status: 'PARTIALLY_RETURNED', statusReason: 'too small' },
      lines: [{ returned: 2 }, { returned: 0 }],
    });
    expect(rowAfter(...ofOrder(...all))).toMatchObject({
      status: 'RETURNED',
      lines: [{ returned: 2 }, { returned: 3 }],
    });
  });

  test('shows its payments, in the order in which they began, as they are now', () => {
    const first = ofPayment([payments.requested, payments.failed()]);
    const second = ofPayment([payments.requested, payments.confirmed()], OTHER_PAYMENT);
    const row = rowAfter(...ofOrder(placed()), ...first, ...second);
    expect(row.payments).toMatchObject([
      { paymentId: PAYMENT, status: 'FAILED', failureReason: 'card_declined', amountMinor: 1000 },
      { paymentId: OTHER_PAYMENT, status: 'CONFIRMED', failureReason: null },
    ]);
    expect(row).toMatchObject({ version: 1, position: 5 });
    const back = ofPayment([payments.refundRequested('r1', 400), payments.refunded('r1', 400, 400)]);
    expect(
      rowAfter(...ofOrder(placed()), ...ofPayment([payments.requested, payments.confirmed()]), ...back),
    ).toMatchObject({ payments: [{ status: 'PARTIALLY_REFUNDED', refundedMinor: price(400).amountMinor }] });
  });

  test('shows its shipment', () => {
    const row = rowAfter(...ofOrder(placed()), ...ofShipment(shipments.requested, shipments.prepared('by hand')));
    expect(row.shipments).toMatchObject([
      {
        ...{ shipmentId: SHIPMENT, status: 'PREPARED', ...shipments.CARRIED },
        history: [{ status: 'REQUESTED' }, { status: 'PREPARED', note: 'by hand' }],
      },
    ]);
  });

  test('is of no order that was not placed', () => {
    for (const event of [
      ...ofOrder(delivered),
      ...ofPayment([payments.requested]),
      ...ofShipment(shipments.requested),
    ]) {
      expect(orderProjection.evolveRow(undefined, event)).toBeUndefined();
    }
  });

  test('is found by what is told of its payments and shipments, and folded from all of them again', () => {
    const events = [...ofOrder(placed()), ...ofPayment([payments.requested]), ...ofShipment(shipments.requested)];
    expect(events.map((event) => orderProjection.keyOf(event))).toEqual([ORDER, ORDER, ORDER]);
    expect(orderProjection.streamsOf?.(rowAfter(...events))).toEqual([
      `order-${ORDER}`,
      `payment-${PAYMENT}`,
      `shipment-${SHIPMENT}`,
    ]);
  });

  test('goes without who was forgotten', () => {
    expect(rowAfter(...ofOrder(placed({ email: null, shippingAddress: null })))).toMatchObject({
      ...{ email: null, shippingAddress: null },
    });
    const { data, ...event } = returned([{ sku: 'A', quantity: 2 }], 400);
    const unsaid = { ...event, data: { ...data, reason: null } } as OrderEvent;
    expect(rowAfter(...ofOrder(...orderStates.delivered, unsaid))).toMatchObject({
      ...{ status: 'PARTIALLY_RETURNED', statusReason: null },
    });
  });

  test("keeps a customer's own words as personal data", () =>
    expect(protectedFields(orderRow).get('.statusReason')).toEqual({ kind: 'personal', subject: 'customerId' }));
});
