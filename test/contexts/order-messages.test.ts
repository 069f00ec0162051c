import { expect, test } from 'vitest';
import type { OrderEvent } from '../../src/contexts/ordering/events.ts';
import { orderEvents } from '../../src/contexts/ordering/events.ts';
import { orderMessage, orderSourcesOf } from '../../src/contexts/ordering/messages.ts';
import { ORDER, price } from '../support/carts.ts';
import { ANONYMOUS, customer } from '../support/given.ts';
import {
  cancelled,
  cancelling,
  delivered,
  notCancelled,
  OTHER_RETURN,
  PAYMENT,
  paid,
  paymentFailed,
  paymentRequested,
  placed,
  preparing,
  refunded,
  returned,
  shipped,
} from '../support/orders.ts';
import { recorded } from '../support/recorded.ts';

function storedOf(event: OrderEvent) {
  const [stored] = recorded('order', ORDER, [event]);
  if (stored === undefined) throw new Error('Nothing was stored.');
  return stored;
}

const plain = [paymentFailed(), paid, shipped, delivered, notCancelled, cancelled, refunded('r1')];
const back = returned([{ sku: 'A', quantity: 1 }], 200, OTHER_RETURN);

test.each(plain)('$type is told as it is', (event) => {
  expect(orderMessage(storedOf(event))).toEqual({ type: event.type, orderId: ORDER, ...event.data });
});

test('OrderPlaced does not tell who owns the order', () => {
  const { ownerId: _, ...told } = placed({ ownerId: 'carla' }).data as Record<string, unknown>;
  const message = orderMessage(storedOf(placed({ ownerId: 'carla' })));
  expect(message).toEqual({ type: 'OrderPlaced', orderId: ORDER, ...told });
  expect(message).not.toHaveProperty('ownerId');
});

test('OrderPlaced tells of whom nobody knows any more, too', () =>
  expect(orderMessage(storedOf(placed({ email: null, shippingAddress: null })))).toMatchObject({
    email: null,
    shippingAddress: null,
  }));

test('OrderPreparationBegan keeps the shipment to itself', () =>
  expect(orderMessage(storedOf(preparing))).toEqual({ type: 'OrderPreparationBegan', orderId: ORDER }));

test("What was said in a customer's own words is told to nobody", () => {
  const { reason: _, customerId: __, ...told } = back.data as Record<string, unknown>;
  expect(orderMessage(storedOf(back))).toEqual({ type: 'OrderItemsReturned', orderId: ORDER, ...told });
  expect(told).toEqual({ returnId: OTHER_RETURN, lines: [{ sku: 'A', quantity: 1 }], refund: price(200) });
  expect(orderMessage(storedOf(cancelling))).toEqual({
    ...{ type: 'OrderCancellationRequested', orderId: ORDER },
    ...{ commandId: expect.any(String), requestedBy: ANONYMOUS },
  });
});

test('What waits for an outcome tells which command it was', () => {
  const stored = { ...storedOf(paymentRequested()), commandId: 'the command' };
  expect(orderMessage(stored)).toMatchObject({ orderId: ORDER, paymentId: PAYMENT, commandId: 'the command' });
  const actor = customer('carla');
  expect(orderMessage({ ...storedOf(cancelling), commandId: 'another', actor })).toMatchObject({
    commandId: 'another',
    requestedBy: actor,
  });
});

test('What no command asked for has the id of its event instead', () => {
  const stored = { ...storedOf(paymentRequested()), commandId: null };
  expect(orderMessage(stored)).toMatchObject({ commandId: stored.eventId });
});

test('Every event is told, under its own name', () => {
  const all = [...plain, placed(), paymentRequested(), preparing, cancelling, back];
  const types = all.map(({ type }) => type);
  expect([...types].sort()).toEqual(orderEvents.map(({ type }) => type).sort());
  expect(orderSourcesOf(...types)).toEqual(types);
});
