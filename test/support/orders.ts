import type { OrderCommand } from '../../src/contexts/ordering/commands.ts';
import type { OrderEvent } from '../../src/contexts/ordering/events.ts';
import type { OrderedLine } from '../../src/contexts/values.ts';
import { ADDRESS, CART, ORDER, price } from './carts.ts';

/** Words for tests about orders. */

export const PAYMENT = '77777777-7777-4777-8777-777777777777';
export const OTHER_PAYMENT = '88888888-8888-4888-8888-888888888888';
export const SHIPMENT = '99999999-9999-4999-8999-999999999999';
export const RETURN = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa';
export const OTHER_RETURN = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb';
/** What people call ORDER. */
export const NUMBER = 'G3WT-BQ40-N9KK';
export const DEADLINE = '2030-01-31T12:15:00.000Z';
/** Of two A and three B. */
export const TOTAL = price(1000);

type DataOf<Type extends OrderCommand['type']> = Extract<OrderCommand, { type: Type }>['data'];
type PlacedData = Extract<OrderEvent, { type: 'OrderPlaced' }>['data'];

export const line = (sku: string, quantity: number, amountMinor: number): OrderedLine => ({
  sku,
  name: `Product ${sku}`,
  quantity,
  unitPrice: price(amountMinor),
});

const lines = [line('A', 2, 200), line('B', 3, 200)];
const content = {
  ...{ cartId: CART, customerId: 'carla', ownerId: null, currency: 'GBP', lines, discounts: [] },
  ...{ paymentDeadline: DEADLINE, email: 'carla@example.org', shippingAddress: ADDRESS },
};

const inWords = (reason: string) => ({ customerId: content.customerId, reason });

export const place = (changes: Partial<DataOf<'PlaceOrder'>> = {}): OrderCommand => ({
  type: 'PlaceOrder',
  data: { orderId: ORDER, ...content, ...changes },
});
export const pay = (paymentId = PAYMENT): OrderCommand => ({
  type: 'PayOrder',
  data: { orderId: ORDER, paymentId, paymentToken: 'tok_ok' },
});
export const cancel: OrderCommand = { type: 'CancelOrder', data: { orderId: ORDER, ...inWords('changed my mind') } };
export const returnItems = (back: DataOf<'ReturnItems'>['lines'], returnId = RETURN): OrderCommand => ({
  type: 'ReturnItems',
  data: { orderId: ORDER, returnId, lines: back, ...inWords('too small') },
});

/** What the process of an order tells it. */
export const note = {
  paymentFailed: (paymentId = PAYMENT): OrderCommand => ({
    type: 'NoteOrderPaymentFailed',
    data: { orderId: ORDER, paymentId, reason: 'card_declined' },
  }),
  paid: { type: 'NoteOrderPaid', data: { orderId: ORDER, paymentId: PAYMENT } },
  preparation: { type: 'NoteOrderPreparation', data: { orderId: ORDER, shipmentId: SHIPMENT } },
  shipped: { type: 'NoteOrderShipped', data: { orderId: ORDER, carrier: 'simulated', trackingCode: 'SIM-1' } },
  delivered: { type: 'NoteOrderDelivered', data: { orderId: ORDER, shipmentId: SHIPMENT } },
  cancelled: { type: 'CompleteOrderCancellation', data: { orderId: ORDER, reason: 'changed my mind' } },
  notCancelled: { type: 'RefuseOrderCancellation', data: { orderId: ORDER, reason: 'SHIPPED' } },
  refunded: (refundId: string): OrderCommand => ({
    type: 'NoteOrderRefunded',
    data: { orderId: ORDER, paymentId: PAYMENT, refundId, amount: TOTAL },
  }),
} as const satisfies Record<string, OrderCommand | ((id: string) => OrderCommand)>;

export const placed = (changes: Partial<PlacedData> = {}): OrderEvent => ({
  type: 'OrderPlaced',
  data: { ...content, number: NUMBER, totalMinor: TOTAL.amountMinor, ...changes },
});
export const paymentRequested = (paymentId = PAYMENT): OrderEvent => ({
  type: 'OrderPaymentRequested',
  data: { paymentId, amount: TOTAL },
});
export const paymentFailed = (paymentId = PAYMENT): OrderEvent => ({
  type: 'OrderPaymentFailed',
  data: { paymentId, reason: 'card_declined' },
});
export const paid: OrderEvent = { type: 'OrderPaid', data: { paymentId: PAYMENT } };
export const preparing: OrderEvent = { type: 'OrderPreparationBegan', data: { shipmentId: SHIPMENT } };
export const shipped: OrderEvent = { type: 'OrderShipped', data: { carrier: 'simulated', trackingCode: 'SIM-1' } };
export const delivered: OrderEvent = { type: 'OrderDelivered', data: { shipmentId: SHIPMENT } };
export const cancelling: OrderEvent = { type: 'OrderCancellationRequested', data: inWords('changed my mind') };
export const notCancelled: OrderEvent = { type: 'OrderCancellationRefused', data: { reason: 'SHIPPED' } };
export const cancelled: OrderEvent = { type: 'OrderCancelled', data: { reason: 'changed my mind' } };
export const returned = (
  back: readonly { sku: string; quantity: number }[],
  refundMinor: number,
  returnId = RETURN,
): OrderEvent => ({
  type: 'OrderItemsReturned',
  data: { returnId, lines: [...back], refund: price(refundMinor), ...inWords('too small') },
});
export const refunded = (refundId: string): OrderEvent => ({
  type: 'OrderRefunded',
  data: { paymentId: PAYMENT, refundId, amount: TOTAL },
});

/** Each state that an order can be in, by what has happened. */
export const orderStates = {
  placed: [placed()],
  paying: [placed(), paymentRequested()],
  paid: [placed(), paymentRequested(), paid],
  preparing: [placed(), paymentRequested(), paid, preparing],
  shipped: [placed(), paymentRequested(), paid, preparing, shipped],
  delivered: [placed(), paymentRequested(), paid, preparing, shipped, delivered],
  cancelled: [placed(), cancelling, cancelled],
} satisfies Record<string, OrderEvent[]>;
export type OrderStateName = keyof typeof orderStates;
export const ORDER_STATES = Object.keys(orderStates) as OrderStateName[];
