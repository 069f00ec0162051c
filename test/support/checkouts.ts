import type { Rejection } from '../../src/eventsourcing/commands/rejection.ts';
import type { ProcessEffect } from '../../src/eventsourcing/processes/process-manager.ts';
import { checkout } from '../../src/processes/checkout.ts';
import type { CheckoutData, CheckoutEvent } from '../../src/processes/checkout-events.ts';
import type { CheckoutMessage } from '../../src/processes/checkout-messages.ts';
import { shipmentIdOf } from '../../src/processes/checkout-requests.ts';
import type { CheckoutStep } from '../../src/processes/checkout-steps.ts';
import { ADDRESS, CART, ORDER, price } from './carts.ts';
import { NOW } from './given-process.ts';
import { DEADLINE, line, NUMBER, OTHER_PAYMENT, PAYMENT, RETURN } from './orders.ts';

/** Words for tests about the checkout of an order. */

export const process = checkout({ paymentLimitMs: 900_000, provider: 'simulated' });
export const context = { instanceId: ORDER };
export const RESERVED_UNTIL = '2030-01-31T12:25:00.000Z';
/** When what failed for the first time is tried again. */
export const LATER = new Date(NOW.getTime() + 60_000);
/** How long it is waited for what became of a payment that was under way at the deadline. */
export const UNTIL = new Date(Date.parse(DEADLINE) + 300_000);
export const CHECK_OUT_COMMAND = 'the command that checks out';
export const PAY_COMMAND = 'the command that pays';
export const OTHER_PAY_COMMAND = 'the command that pays otherwise';
export const CANCEL_COMMAND = 'the command that cancels';
export const SHIPMENT = shipmentIdOf(ORDER);
export const TOTAL = price(1000);
/** Why, for all but the order itself: it keeps the customer's own words. */
export const WHY = 'CANCELLED_BY_CUSTOMER';
export const CARRIED = { carrier: 'simulated', trackingCode: 'SIM-1' };

const orderId = ORDER;
const at = NOW;
export const orderLines = [line('A', 2, 200), line('B', 3, 200)];
export const lines = orderLines.map(({ sku, quantity }) => ({ sku, quantity }));
const person = { email: 'carla@example.org', shippingAddress: ADDRESS };
const asked = {
  ...{ cartId: CART, commandId: CHECK_OUT_COMMAND, customerId: 'carla', ownerId: null, currency: 'GBP' },
  ...{ lines: orderLines, discounts: [], couponCode: null, ...person },
};

type Told<Type extends CheckoutMessage['type']> = Extract<CheckoutMessage, { type: Type }>;
export const told = <Message extends CheckoutMessage>(message: Message) =>
  ({ kind: 'message', message, at: NOW }) as const;

const ofPayment = { paymentId: PAYMENT, orderId, at };
const ofShipment = { shipmentId: SHIPMENT, orderId, at };

/** What others tell it. */
export const hears = {
  checkOut: (changes: Partial<Told<'CartCheckOutRequested'>> = {}) =>
    told({ type: 'CartCheckOutRequested', version: 3, orderId, ...asked, ...changes }),
  couponRedeemed: told({ type: 'CouponRedeemed', code: 'TEN', orderId }),
  reserved: told({ type: 'OrderStockReserved', orderId }),
  reopened: (cartId = CART) => told({ type: 'CartCheckOutCancelled', cartId, version: 5, orderId, reason: 'REFUSED' }),
  placed: (totalMinor = 1000) =>
    told({
      ...{ type: 'OrderPlaced', orderId, number: NUMBER, cartId: CART, customerId: 'carla', ...person },
      ...{ currency: 'GBP', lines: orderLines, discounts: [], totalMinor, paymentDeadline: DEADLINE },
    } as const),
  pay: (paymentId = PAYMENT, commandId = PAY_COMMAND) =>
    told({ type: 'OrderPaymentRequested', orderId, paymentId, commandId, amount: TOTAL }),
  actionRequired: told({ type: 'PaymentActionRequired', ...ofPayment, kind: 'REDIRECT', url: null }),
  confirmed: (isLate = false, paymentId = PAYMENT) =>
    told({ type: 'PaymentConfirmed', ...ofPayment, paymentId, amount: TOTAL, isLate }),
  failed: (paymentId = PAYMENT) =>
    told({ type: 'PaymentFailed', ...ofPayment, paymentId, reason: 'card_declined', isOver: true }),
  failureNoted: (paymentId = PAYMENT) =>
    told({ type: 'OrderPaymentFailed', orderId, paymentId, reason: 'card_declined' }),
  paymentTimedOut: (paymentId = PAYMENT) => told({ type: 'PaymentTimedOut', ...ofPayment, paymentId }),
  paymentCancelled: told({ type: 'PaymentCancelled', ...ofPayment, reason: 'by hand' }),
  committed: told({ type: 'OrderStockCommitted', orderId }),
  paid: told({ type: 'OrderPaid', orderId, paymentId: PAYMENT }),
  prepared: told({ type: 'ShipmentPrepared', ...ofShipment, ...CARRIED, note: null }),
  handedOver: told({ type: 'ShipmentHandedOver', ...ofShipment, ...CARRIED, note: null }),
  delivered: told({ type: 'ShipmentDelivered', ...ofShipment, note: null }),
  shipmentCancelled: told({ type: 'ShipmentCancelled', ...ofShipment, reason: 'x' }),
  cancel: told({
    ...{ type: 'OrderCancellationRequested', orderId, commandId: CANCEL_COMMAND },
    requestedBy: { kind: 'GUEST', id: 'g' },
  } as const),
  notCancelled: told({ type: 'OrderCancellationRefused', orderId, reason: 'SHIPPED' }),
  orderCancelled: told({ type: 'OrderCancelled', orderId, reason: WHY }),
  returned: (returnId = RETURN, refundMinor = 200) =>
    told({
      ...{ type: 'OrderItemsReturned', orderId, returnId, refund: price(refundMinor) },
      lines: [{ sku: 'A', quantity: 1 }],
    } as const),
  restocked: (returnId = RETURN) => told({ type: 'OrderReturnRestocked', orderId, returnId }),
  refunded: (refundId: string, minor = 1000, paymentId = PAYMENT) =>
    told({ type: 'PaymentRefunded', ...ofPayment, paymentId, refundId, amount: price(minor), refunded: price(minor) }),
  refundFailed: (refundId: string) =>
    told({ type: 'PaymentRefundFailed', ...ofPayment, refundId, reason: 'REFUSED', refunded: price(0) }),
} as const;

const event = <Type extends CheckoutEvent['type']>(type: Type, data: CheckoutData<Type>) =>
  ({ type, data }) as Extract<CheckoutEvent, { type: Type }>;

const tooLate = {
  commandId: CANCEL_COMMAND,
  rejection: {
    ...{ code: 'ILLEGAL_STATE', state: 'SHIPPED' },
    message: 'The order is on its way: return it once it is there.',
  },
} as const;

/** What it remembers. */
export const began = (changes: Partial<CheckoutData<'CheckoutStarted'>> = {}) =>
  event('CheckoutStarted', { ...asked, paymentDeadline: DEADLINE, reservedUntil: RESERVED_UNTIL, ...changes });
export const did = {
  redeemed: event('CheckoutCouponRedeemed', { orderId }),
  refused: (rejection: Rejection) => event('CheckoutRefused', { rejection }),
  idTaken: (cartId: string, commandId: string) => event('CheckoutIdTaken', { cartId, commandId }),
  reopened: (cartId = CART, commandId = CHECK_OUT_COMMAND) => event('CheckoutCartReopened', { cartId, commandId }),
  reserved: event('CheckoutStockReserved', { orderId }),
  placed: event('CheckoutOrderPlaced', { orderId }),
  nothingToPay: event('CheckoutNothingToPay', { orderId }),
  paying: (paymentId = PAYMENT, commandId = PAY_COMMAND) =>
    event('CheckoutPaymentBegan', { paymentId, commandId, amount: TOTAL }),
  actionNeeded: event('CheckoutPaymentActionNeeded', { paymentId: PAYMENT }),
  failed: (reason = 'card_declined', paymentId = PAYMENT) => event('CheckoutPaymentFailed', { paymentId, reason }),
  failureNoted: (paymentId = PAYMENT) => event('CheckoutPaymentFailureNoted', { paymentId }),
  overdue: event('CheckoutPaymentOverdue', { paymentId: PAYMENT, until: UNTIL.toISOString() }),
  confirmed: (paymentId = PAYMENT) => event('CheckoutPaymentConfirmed', { paymentId, amount: TOTAL }),
  tooLate: (paymentId = PAYMENT) =>
    event('CheckoutPaymentTooLate', { paymentId, refundId: `${paymentId}:late`, amount: TOTAL }),
  unwanted: event('CheckoutPaymentUnwanted', { paymentId: PAYMENT, commandId: PAY_COMMAND }),
  timedOut: event('CheckoutTimedOut', { reason: 'PAYMENT_TIMED_OUT' }),
  stockLost: (rejection: Rejection) => event('CheckoutStockLost', { rejection, refundId: `${ORDER}:out-of-stock` }),
  sold: event('CheckoutStockSold', { orderId }),
  paid: event('CheckoutOrderPaid', { orderId }),
  prepared: event('CheckoutShipmentPrepared', { orderId }),
  shipped: event('CheckoutShippingBegan', CARRIED),
  delivered: event('CheckoutDelivered', { orderId }),
  asked: event('CheckoutCancellationAsked', { commandId: CANCEL_COMMAND }),
  closed: event('CheckoutOrderClosed', { orderId }),
  notCancelled: event('CheckoutCancellationRefused', tooLate),
  refusalNoted: event('CheckoutCancellationRefusalNoted', tooLate),
  cancelled: (reason = WHY) => event('CheckoutCancelled', { reason, refundId: `${ORDER}:cancelled` }),
  returned: (refundId = RETURN, refundMinor = 200) =>
    event('CheckoutReturnAccepted', { refundId, refund: price(refundMinor), lines: [{ sku: 'A', quantity: 1 }] }),
  restocked: (returnId = RETURN) => event('CheckoutReturnRestocked', { returnId }),
  refunded: (refundId: string, minor = 1000, paymentId = PAYMENT) =>
    event('CheckoutRefunded', { paymentId, refundId, amount: price(minor) }),
  refundFailed: (refundId: string, retryAt = LATER) =>
    event('CheckoutRefundFailed', { refundId, reason: 'REFUSED', retryAt: retryAt.toISOString() }),
  refundRetried: (refundId: string, nextRefundId: string) => event('CheckoutRefundRetried', { refundId, nextRefundId }),
  stepFailed: (command: CheckoutStep, detail: string, retryAt = LATER) =>
    event('CheckoutStepFailed', { command, detail, retryAt: retryAt.toISOString() }),
  stepRetried: (command: CheckoutStep) => event('CheckoutStepRetried', { command }),
} as const;

const placed = [began(), did.reserved, did.placed];
const paying = [...placed, did.paying()];
const declined = [...paying, did.failed()];
const overdue = [...paying, did.overdue];
const selling = [...paying, did.confirmed()];
const sold = [...selling, did.sold];
const shipping = [...sold, did.paid];
const prepared = [...shipping, did.prepared];
const onTheWay = [...prepared, did.shipped];
const delivered = [...onTheWay, did.delivered];
const cancelled = [...paying, did.asked, did.cancelled()];
const refused = [began(), did.refused({ code: 'INSUFFICIENT_STOCK', message: 'gone' })];

/** Each state that a checkout can be in, by what has happened. */
export const states = {
  'not begun': [],
  'redeeming coupon': [began({ couponCode: 'TEN' })],
  reserving: [began()],
  placing: [began(), did.reserved],
  'awaiting payment': placed,
  paying,
  'needing action': [...paying, did.actionNeeded],
  declined,
  'paying otherwise': [...declined, did.failureNoted(), did.paying(OTHER_PAYMENT, OTHER_PAY_COMMAND)],
  overdue,
  selling,
  sold,
  shipping,
  prepared,
  'on the way': onTheWay,
  delivered,
  'timed out': [...overdue, did.timedOut],
  cancelled,
  closed: [...cancelled, did.closed],
  refused,
  reopened: [...refused, did.reopened()],
} satisfies Record<string, CheckoutEvent[]>;
export type StateName = keyof typeof states;
export const STATES = Object.keys(states) as StateName[];

const toSend = (type: string, data: object): ProcessEffect => ({ kind: 'send', command: { type, data } });

/** What it asks others for. */
export const sends = {
  redeem: toSend('RedeemCoupon', { code: 'TEN', orderId }),
  releaseCoupon: toSend('ReleaseCoupon', { code: 'TEN', orderId }),
  reserve: toSend('ReserveStock', { orderId, lines, expiresAt: RESERVED_UNTIL }),
  release: (reason: string) => toSend('ReleaseStock', { orderId, lines, reason }),
  place: (changes: object = {}) =>
    toSend('PlaceOrder', {
      ...{ orderId, cartId: CART, customerId: 'carla', ownerId: null, ...person, currency: 'GBP' },
      ...{ lines: orderLines, discounts: [], paymentDeadline: DEADLINE, ...changes },
    }),
  completeCart: toSend('CompleteCartCheckOut', { cartId: CART, orderId }),
  cancelCart: (cartId = CART, reason = 'REFUSED') => toSend('CancelCartCheckOut', { cartId, orderId, reason }),
  record: (changes: object = {}) =>
    toSend('RecordCustomer', { customerId: 'carla', email: person.email, name: ADDRESS.name, ...changes }),
  requestPayment: (paymentId = PAYMENT, tokenCommandId = PAY_COMMAND) =>
    toSend('RequestPayment', {
      ...{ paymentId, orderId, customerId: 'carla', amount: TOTAL, tokenCommandId, provider: 'simulated' },
    }),
  paymentFailed: (reason = 'card_declined') =>
    toSend('NoteOrderPaymentFailed', { orderId, paymentId: PAYMENT, reason }),
  timeOutPayment: (paymentId = PAYMENT) => toSend('TimeOutPayment', { paymentId }),
  cancelPayment: (reason: string, paymentId = PAYMENT) => toSend('CancelPayment', { paymentId, reason }),
  commit: toSend('CommitStock', { orderId, lines }),
  paid: (paymentId: string | null = PAYMENT) => toSend('NoteOrderPaid', { orderId, paymentId }),
  ship: (address: object | null = ADDRESS) =>
    toSend('RequestShipment', { shipmentId: SHIPMENT, orderId, customerId: 'carla', address }),
  preparation: toSend('NoteOrderPreparation', { orderId, shipmentId: SHIPMENT }),
  shipped: toSend('NoteOrderShipped', { orderId, ...CARRIED }),
  delivered: toSend('NoteOrderDelivered', { orderId, shipmentId: SHIPMENT }),
  cancelShipment: toSend('CancelShipment', { shipmentId: SHIPMENT, reason: WHY }),
  cancelOrder: (reason: string) => toSend('CompleteOrderCancellation', { orderId, reason }),
  notCancelled: toSend('RefuseOrderCancellation', { orderId, reason: 'SHIPPED' }),
  restock: (returnId = RETURN) => toSend('RestockReturn', { orderId, returnId, lines: [{ sku: 'A', quantity: 1 }] }),
  refund: (refundId: string, minor = 1000, paymentId = PAYMENT) =>
    toSend('RefundPayment', { refundId, paymentId, amount: price(minor) }),
  noteRefund: (refundId: string, minor = 1000, paymentId = PAYMENT) =>
    toSend('NoteOrderRefunded', { orderId, paymentId, refundId, amount: price(minor) }),
} as const;

export const conclude = (commandId: string, rejection?: object): ProcessEffect =>
  rejection === undefined
    ? { kind: 'conclude', commandId }
    : ({ kind: 'conclude', commandId, rejection } as ProcessEffect);
export const paymentTimer: ProcessEffect = { kind: 'setTimer', timer: 'payment', dueAt: new Date(DEADLINE) };
export const overdueTimer: ProcessEffect = { kind: 'setTimer', timer: 'payment', dueAt: UNTIL };
export const noTimer = (timer: string): ProcessEffect => ({ kind: 'cancelTimer', timer });
export const noPaymentTimer = noTimer('payment');
export const timer = (name: string, dueAt = LATER): ProcessEffect => ({ kind: 'setTimer', timer: name, dueAt });
