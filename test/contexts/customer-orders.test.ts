import { describe, expect, test } from 'vitest';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { type CustomerOrderRow, customerOrderProjection } from '../../src/contexts/customers/order-copy.ts';
import type { OrderEvent } from '../../src/contexts/ordering/events.ts';
import type { PaymentEvent } from '../../src/contexts/payment/events.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { CART, checkOutStarted, OTHER_CART } from '../support/carts.ts';
import { cancelled, orderStates, placed } from '../support/orders.ts';
import * as payments from '../support/payments.ts';
import { recorded } from '../support/recorded.ts';
import * as shipments from '../support/shipments.ts';

const { ORDER, PAYMENT } = payments;
const checkedOut = checkOutStarted({ orderId: ORDER });
const givenBack: CartEvent = { type: 'CartCheckOutCancelled', data: { orderId: ORDER, reason: 'REFUSED' } };

const ofCart = (events: readonly CartEvent[], cartId = CART) => recorded('cart', cartId, events);
const ofOrder = (events: readonly OrderEvent[]) => recorded('order', ORDER, events);
const ofPayment = (events: readonly PaymentEvent[]) => recorded('payment', PAYMENT, events);

function rowAfter(...events: readonly RecordedEvent[]): CustomerOrderRow | undefined {
  const { eventTypes, evolveRow, keyOf } = customerOrderProjection;
  return events
    .filter(({ type }) => eventTypes.includes(type))
    .reduce<CustomerOrderRow | undefined>((before, event, at) => {
      expect(keyOf(event)).toBe(ORDER);
      return evolveRow(before, { ...event, position: at + 1 });
    }, undefined);
}

describe("Customers' copy of an order", () => {
  test('begins with the check-out, and says whose it is', () => {
    expect(rowAfter(...ofCart([checkedOut]))).toEqual({
      ...{ orderId: ORDER, customerId: CART, cartId: CART, progress: 'CHECKING_OUT' },
      ...{ payments: [], shipmentIds: [], isOpen: true, position: 1 },
    });
  });

  test('is over where the cart is given back, and may begin again', () => {
    expect(rowAfter(...ofCart([checkedOut, givenBack]))).toMatchObject({ progress: 'REFUSED', isOpen: false });
    const again = rowAfter(...ofCart([checkedOut, givenBack]), ...ofCart([checkedOut], OTHER_CART));
    expect(again).toMatchObject({ progress: 'CHECKING_OUT', cartId: OTHER_CART, isOpen: true });
  });

  test("does not mind another's cart that was to become an order of the same id", () => {
    const others = ofCart([checkOutStarted({ orderId: ORDER, customerId: 'another' }), givenBack], OTHER_CART);
    const row = rowAfter(...ofCart([checkedOut]), ...others);
    expect(row).toMatchObject({ customerId: CART, cartId: CART, isOpen: true });
  });

  test('is open as long as the order is neither delivered nor cancelled', () => {
    const before = ofCart([checkedOut]);
    const openIn = Object.entries(orderStates).map(([state, events]) => [
      state,
      rowAfter(...before, ...ofOrder(events))?.isOpen,
    ]);
    for (const [state, isOpen] of openIn) expect({ state, isOpen }).toEqual({ state, isOpen: !isOver(String(state)) });
  });

  test('is open as long as a payment of it, or a refund, is under way', () => {
    const ended = [...ofCart([checkedOut]), ...ofOrder([placed(), cancelled])];
    expect(rowAfter(...ended)).toMatchObject({ progress: 'ENDED', isOpen: false });
    const paying = ofPayment([payments.requested]);
    expect(rowAfter(...ended, ...paying)).toMatchObject({ payments: [{ paymentId: PAYMENT }], isOpen: true });
    const over = ofPayment([payments.requested, payments.timedOut]);
    expect(rowAfter(...ended, ...over)).toMatchObject({ isOpen: false });
  });

  test('knows which streams it is made of', () => {
    const shipped = recorded('shipment', shipments.SHIPMENT, [shipments.requested]);
    const row = rowAfter(...ofCart([checkedOut]), ...ofPayment([payments.requested]), ...shipped);
    expect(row && customerOrderProjection.streamsOf(row)).toEqual([
      `cart-${CART}`,
      `order-${ORDER}`,
      `payment-${PAYMENT}`,
      `shipment-${shipments.SHIPMENT}`,
    ]);
  });

  test('is nothing without a check-out', () => {
    expect(rowAfter(...ofOrder([placed()]), ...ofPayment([payments.requested]))).toBeUndefined();
  });
});

function isOver(state: string): boolean {
  return state === 'delivered' || state === 'cancelled';
}
