import { cartMessage, cartSourcesOf, couponMessage, couponSourcesOf } from '../contexts/cart/messages.ts';
import { stockMessage, stockSourcesOf } from '../contexts/catalog/messages.ts';
import { orderMessage, orderSourcesOf } from '../contexts/ordering/messages.ts';
import { paymentMessage, paymentSourcesOf } from '../contexts/payment/messages.ts';
import { shipmentMessage, shipmentSourcesOf } from '../contexts/shipping/messages.ts';
import type { RecordedEvent } from '../eventsourcing/log/event.ts';
import type { ProcessManager } from '../eventsourcing/processes/process-manager.ts';
import { effectsOfCheckout } from './checkout-effects.ts';
import { type CheckoutEvent, checkoutEvents } from './checkout-events.ts';
import { onRefusal, onTimer } from './checkout-failures.ts';
import { type CheckoutMessage, type CheckoutSettings, onMessage } from './checkout-messages.ts';
import { type CheckoutState, evolveCheckout } from './checkout-state.ts';
import { viewOfCheckout } from './checkout-view.ts';

const CART_SOURCES = cartSourcesOf('CartCheckOutRequested', 'CartCheckOutCancelled');
const COUPON_SOURCES = couponSourcesOf('CouponRedeemed');
const STOCK_SOURCES = stockSourcesOf('OrderStockReserved', 'OrderStockCommitted', 'OrderReturnRestocked');
const ORDER_SOURCES = orderSourcesOf(
  'OrderPlaced',
  'OrderPaymentRequested',
  'OrderPaymentFailed',
  'OrderPaid',
  'OrderCancellationRequested',
  'OrderCancellationRefused',
  'OrderCancelled',
  'OrderItemsReturned',
);
const PAYMENT_SOURCES = paymentSourcesOf(
  'PaymentActionRequired',
  'PaymentConfirmed',
  'PaymentFailed',
  'PaymentTimedOut',
  'PaymentCancelled',
  'PaymentRefunded',
  'PaymentRefundFailed',
);
const SHIPMENT_SOURCES = shipmentSourcesOf(
  'ShipmentPrepared',
  'ShipmentHandedOver',
  'ShipmentDelivered',
  'ShipmentCancelled',
);

/**
 * From a cart that is checked out to goods that are delivered, or to everything given back. One instance for each order,
 * with its id.
 *
 * redeem coupon, reserve stock, place order, await payment, sell stock, ship, deliver; then returns. Until an order is
 * placed, a refusal ends it. From then on there are two ways: on, or undone: a payment that is not confirmed by its
 * deadline, a cancellation before the goods leave, stock that was lost. Money that comes when nobody waits for it any
 * more is paid back. What has to be done, and was not, is asked for again until it is.
 */
export function checkout(settings: CheckoutSettings): ProcessManager<CheckoutState, CheckoutMessage, CheckoutEvent> {
  return {
    name: 'checkout',
    description: 'Takes an order from check-out to delivery, or gives everything back.',
    events: checkoutEvents,
    eventTypes: [
      ...CART_SOURCES,
      ...COUPON_SOURCES,
      ...STOCK_SOURCES,
      ...ORDER_SOURCES,
      ...PAYMENT_SOURCES,
      ...SHIPMENT_SOURCES,
    ],
    instanceOf: (event) => messageOf(event)?.orderId,
    messageOf(event) {
      const message = messageOf(event);
      if (message === undefined) throw new Error(`${event.type} is nothing that a checkout takes.`);
      return message;
    },
    endsWith: [
      'CheckoutRefused',
      'CheckoutTimedOut',
      'CheckoutStockLost',
      'CheckoutCancelled',
      'CheckoutOrderClosed',
      'CheckoutCartReopened',
      'CheckoutDelivered',
      'CheckoutReturnRestocked',
      'CheckoutRefunded',
    ],
    initialState: { phase: 'not begun' },
    decide(input, state, context) {
      switch (input.kind) {
        case 'message':
          return onMessage(input.message, state, context, settings);
        case 'timer':
          return onTimer(input, state);
        case 'refusal':
          return onRefusal(input.refusal, state, context);
        default:
          return input satisfies never;
      }
    },
    evolve: evolveCheckout,
    effectsOf: (event, state, { instanceId }) => effectsOfCheckout(event, state, instanceId, settings.provider),
    view: viewOfCheckout,
  };
}

function messageOf(event: RecordedEvent): CheckoutMessage | undefined {
  const { type } = event;
  if (STOCK_SOURCES.includes(type)) return stockMessage(event);
  if (COUPON_SOURCES.includes(type)) return couponMessage(event);
  if (ORDER_SOURCES.includes(type)) return orderMessage(event);
  if (PAYMENT_SOURCES.includes(type)) return paymentMessage(event);
  if (SHIPMENT_SOURCES.includes(type)) return shipmentMessage(event);
  const message = cartMessage(event);
  return message.type === 'CartCheckOutRequested' || message.type === 'CartCheckOutCancelled' ? message : undefined;
}
