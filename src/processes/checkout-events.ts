import { z } from 'zod';
import { address, currency, discount, emailAddress, money, orderedLine } from '../contexts/values.ts';
import { storedRejection } from '../eventsourcing/commands/rejection.ts';
import { personal } from '../eventsourcing/log/codec.ts';
import { defineEvent, type EventOf } from '../eventsourcing/log/event.ts';
import { CHECKOUT_STEPS } from './checkout-steps.ts';

/** What the checkout of an order remembers. */

const STAFF = { audience: 'staff' } as const;

const orderId = z.string().meta({ description: 'The order.', idOf: 'Order' });
const commandId = z.string().meta({ ...STAFF, description: 'The command that waits for the outcome.' });
const paymentId = z.string().meta({ description: 'The payment.', idOf: 'Payment' });
const refundId = z.string().describe('The id of the refund.');
const reason = z.string().describe('Why.');
const rejection = storedRejection.meta({ ...STAFF, description: 'Why, as it was answered.', graphql: 'JSON' });

const checkoutStarted = defineEvent({
  type: 'CheckoutStarted',
  schemaVersion: 1,
  description: 'A cart is to become an order. First a coupon is redeemed, if there is one; then stock is reserved.',
  data: z.object({
    cartId: z.string().meta({ description: 'The cart.', idOf: 'Cart' }),
    commandId,
    customerId: z.string().meta({ ...STAFF, description: 'Whom its personal data belongs to.' }),
    ownerId: z
      .string()
      .nullable()
      .meta({ ...STAFF, description: 'The customer whose cart it is; null for a guest.' }),
    currency,
    lines: z.array(orderedLine).describe('What is to be ordered.'),
    discounts: z.array(discount).describe('What is taken off.'),
    couponCode: z.string().nullable().describe('The coupon that is to be redeemed.'),
    paymentDeadline: z.iso.datetime().meta({ description: 'Paid by then, or it is cancelled.' }),
    reservedUntil: z.iso.datetime().meta({ description: 'How long what is reserved is kept in any case.' }),
    email: personal(emailAddress, 'customerId').meta({ ...STAFF, description: 'Where mail about it goes.' }),
    shippingAddress: personal(address, 'customerId').meta({
      ...STAFF,
      description: 'Where it goes.',
      graphql: 'Address',
    }),
  }),
});

const plain = <Type extends string>(type: Type, description: string) =>
  defineEvent({ type, schemaVersion: 1, description, data: z.object({ orderId }) });

const checkoutCouponRedeemed = plain('CheckoutCouponRedeemed', 'The coupon is taken. Stock is reserved next.');
const checkoutStockReserved = plain('CheckoutStockReserved', 'Everything is reserved. The order is placed next.');
const checkoutOrderPlaced = plain('CheckoutOrderPlaced', 'The order is placed, and payment is awaited.');
const checkoutStockSold = plain('CheckoutStockSold', 'What was reserved is sold.');
const checkoutOrderPaid = plain('CheckoutOrderPaid', 'The order is paid. The goods are sent off next.');
const checkoutShipmentPrepared = plain('CheckoutShipmentPrepared', 'The goods are ready to go.');
const checkoutDelivered = plain('CheckoutDelivered', 'The goods are with the customer.');
const checkoutNothingToPay = plain('CheckoutNothingToPay', 'Everything was taken off: nothing is to be paid.');

const checkoutIdTaken = defineEvent({
  type: 'CheckoutIdTaken',
  schemaVersion: 1,
  description: 'Another cart was to become an order of the same id: it is open again.',
  data: z.object({ cartId: z.string().meta({ description: 'The other cart.', idOf: 'Cart' }), commandId }),
});

const checkoutRefused = defineEvent({
  type: 'CheckoutRefused',
  schemaVersion: 1,
  description: 'There will be no order. What was taken for it is given back, and the cart is open again.',
  data: z.object({ rejection }),
});

const checkoutPaymentBegan = defineEvent({
  type: 'CheckoutPaymentBegan',
  schemaVersion: 1,
  description: 'The provider is asked for the money.',
  data: z.object({ paymentId, commandId, amount: money }),
});

const checkoutPaymentActionNeeded = defineEvent({
  type: 'CheckoutPaymentActionNeeded',
  schemaVersion: 1,
  description: 'The customer must do something before the payment can go on.',
  data: z.object({ paymentId }),
});

const checkoutPaymentFailed = defineEvent({
  type: 'CheckoutPaymentFailed',
  schemaVersion: 1,
  description: 'The payment came to nothing. Until the deadline, it can be paid otherwise.',
  data: z.object({ paymentId, reason }),
});

const checkoutPaymentFailureNoted = defineEvent({
  type: 'CheckoutPaymentFailureNoted',
  schemaVersion: 1,
  description: 'The order knows that the payment came to nothing: it can be paid otherwise.',
  data: z.object({ paymentId }),
});

const checkoutPaymentConfirmed = defineEvent({
  type: 'CheckoutPaymentConfirmed',
  schemaVersion: 1,
  description: 'The money is there. What is reserved is sold next.',
  data: z.object({ paymentId, amount: money }),
});

const checkoutPaymentTooLate = defineEvent({
  type: 'CheckoutPaymentTooLate',
  schemaVersion: 1,
  description: 'Money came that nobody waited for any more. It is paid back.',
  data: z.object({ paymentId, refundId, amount: money }),
});

const checkoutPaymentUnwanted = defineEvent({
  type: 'CheckoutPaymentUnwanted',
  schemaVersion: 1,
  description: 'Somebody began to pay an order that had just come to nothing: no money is asked for.',
  data: z.object({ paymentId, commandId }),
});

const checkoutPaymentOverdue = defineEvent({
  type: 'CheckoutPaymentOverdue',
  schemaVersion: 1,
  description: 'The time to pay is over, and a payment is under way: it is stopped, unless it is confirmed already.',
  data: z.object({ paymentId, until: z.iso.datetime().describe('How long it is waited for what became of it.') }),
});

const checkoutTimedOut = defineEvent({
  type: 'CheckoutTimedOut',
  schemaVersion: 1,
  description: 'The order was not paid in time. What was reserved is given back.',
  data: z.object({ reason }),
});

const checkoutStockLost = defineEvent({
  type: 'CheckoutStockLost',
  schemaVersion: 1,
  description: 'What was reserved went to others, for the payment came too late. The money is paid back.',
  data: z.object({ rejection, refundId }),
});

const checkoutShippingBegan = defineEvent({
  type: 'CheckoutShippingBegan',
  schemaVersion: 1,
  description: 'The goods are on their way.',
  data: z.object({
    carrier: z.string().describe('Who carries them.'),
    trackingCode: z.string().describe('What to ask the carrier by.'),
  }),
});

const checkoutCancellationAsked = defineEvent({
  type: 'CheckoutCancellationAsked',
  schemaVersion: 1,
  description: 'Somebody wants the order cancelled.',
  data: z.object({ commandId }),
});

const checkoutCancellationRefused = defineEvent({
  type: 'CheckoutCancellationRefused',
  schemaVersion: 1,
  description: 'It is too late to cancel: the goods are on their way.',
  data: z.object({ commandId, rejection }),
});

const checkoutCancellationRefusalNoted = defineEvent({
  type: 'CheckoutCancellationRefusalNoted',
  schemaVersion: 1,
  description: 'The order knows that it is not cancelled: whoever wanted it is told why.',
  data: z.object({ commandId, rejection }),
});

const checkoutCancelled = defineEvent({
  type: 'CheckoutCancelled',
  schemaVersion: 1,
  description: 'The order came to nothing. What was taken for it is given back.',
  data: z.object({ reason, refundId }),
});

const checkoutCartReopened = defineEvent({
  type: 'CheckoutCartReopened',
  schemaVersion: 1,
  description: 'A cart is open again: whoever checked it out is told why.',
  data: z.object({ cartId: z.string().meta({ description: 'The cart.', idOf: 'Cart' }), commandId }),
});
const checkoutOrderClosed = plain('CheckoutOrderClosed', 'The order is cancelled: whoever waited for that is told.');

const checkoutReturnAccepted = defineEvent({
  type: 'CheckoutReturnAccepted',
  schemaVersion: 1,
  description: 'Goods come back: they are put into stock again, and their share is paid back.',
  data: z.object({
    refundId,
    refund: money,
    lines: z
      .array(z.object({ sku: z.string(), quantity: z.number().int() }))
      .meta({ description: 'What comes back.', graphql: 'ReturnedLine' }),
  }),
});

const checkoutReturnRestocked = defineEvent({
  type: 'CheckoutReturnRestocked',
  schemaVersion: 1,
  description: 'What came back can be sold again.',
  data: z.object({ returnId: z.string().describe('The id of the return.') }),
});

const checkoutRefunded = defineEvent({
  type: 'CheckoutRefunded',
  schemaVersion: 1,
  description: 'Money was paid back.',
  data: z.object({ paymentId, refundId, amount: money }),
});

const checkoutRefundFailed = defineEvent({
  type: 'CheckoutRefundFailed',
  schemaVersion: 1,
  description: 'Money could not be paid back. It is tried again later.',
  data: z.object({ refundId, reason, retryAt: z.iso.datetime().describe('When it is tried again.') }),
});

const checkoutRefundRetried = defineEvent({
  type: 'CheckoutRefundRetried',
  schemaVersion: 1,
  description: 'It is tried once more to pay money back.',
  data: z.object({ refundId, nextRefundId: refundId.describe('The id of the new refund.') }),
});

const checkoutStepFailed = defineEvent({
  type: 'CheckoutStepFailed',
  schemaVersion: 1,
  description: 'A step that has to be done was not. It is tried again later.',
  data: z.object({
    command: z.enum(CHECKOUT_STEPS).describe('The command that is to be sent again.'),
    detail: z.string().describe('What went wrong.'),
    retryAt: z.iso.datetime().describe('When it is tried again.'),
  }),
});

const checkoutStepRetried = defineEvent({
  type: 'CheckoutStepRetried',
  schemaVersion: 1,
  description: 'A step that failed is tried again.',
  data: z.object({ command: z.enum(CHECKOUT_STEPS).describe('The command that is sent again.') }),
});

export const checkoutEvents = [
  checkoutStarted,
  checkoutIdTaken,
  checkoutCouponRedeemed,
  checkoutRefused,
  checkoutStockReserved,
  checkoutOrderPlaced,
  checkoutNothingToPay,
  checkoutPaymentBegan,
  checkoutPaymentActionNeeded,
  checkoutPaymentFailed,
  checkoutPaymentFailureNoted,
  checkoutPaymentConfirmed,
  checkoutPaymentTooLate,
  checkoutPaymentUnwanted,
  checkoutPaymentOverdue,
  checkoutTimedOut,
  checkoutStockSold,
  checkoutStockLost,
  checkoutOrderPaid,
  checkoutShipmentPrepared,
  checkoutShippingBegan,
  checkoutDelivered,
  checkoutCancellationAsked,
  checkoutCancellationRefused,
  checkoutCancellationRefusalNoted,
  checkoutCancelled,
  checkoutOrderClosed,
  checkoutCartReopened,
  checkoutReturnAccepted,
  checkoutReturnRestocked,
  checkoutRefunded,
  checkoutRefundFailed,
  checkoutRefundRetried,
  checkoutStepFailed,
  checkoutStepRetried,
] as const;
export type CheckoutEvent = EventOf<(typeof checkoutEvents)[number]>;
export type CheckoutData<Type extends CheckoutEvent['type']> = Extract<CheckoutEvent, { type: Type }>['data'];
