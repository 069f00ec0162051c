import { describe, expect, test } from 'vitest';
import type { Notice } from '../../src/contexts/notification/messages.ts';
import type { OrderMessage } from '../../src/contexts/ordering/messages.ts';
import { PAYMENT_TIMED_OUT } from '../../src/contexts/ordering/messages.ts';
import { protectedFields } from '../../src/eventsourcing/log/codec.ts';
import { idCausedBy } from '../../src/eventsourcing/processes/effect-work.ts';
import type { ProcessEffect } from '../../src/eventsourcing/processes/process-manager.ts';
import { type NoticeEvent, noticeEvents } from '../../src/processes/customer-notices.ts';
import { tellingCustomers } from '../../src/processes/telling-customers.ts';
import { due, givenProcess, NOW, refused } from '../support/given-process.ts';
import { notices } from '../support/notices.ts';
import { recorded } from '../support/recorded.ts';

const orderId = '66666666-6666-4666-8666-666666666666';
const shipmentId = '77777777-7777-4777-8777-777777777777';
const paymentDeadline = '2030-01-31T12:15:00.000Z';
const context = { instanceId: orderId };
const gbp = (amountMinor: number) => ({ amountMinor, currency: 'GBP' });

const told = (message: OrderMessage) => ({ kind: 'message', message, at: NOW }) as const;
const placing = (email: string | null): OrderMessage => ({
  type: 'OrderPlaced',
  orderId,
  number: 'N-1',
  cartId: 'c',
  customerId: 'mia',
  email,
  shippingAddress: null,
  currency: 'GBP',
  lines: [
    { sku: 'A', name: 'Lantern', quantity: 2, unitPrice: gbp(339) },
    { sku: 'B', name: 'Mug', quantity: 1, unitPrice: gbp(1250) },
  ],
  discounts: [{ code: 'SPRING', label: 'Spring', amount: gbp(100) }],
  totalMinor: 1828,
  paymentDeadline,
});

const noted = (email: string | null = 'mia@example.com'): NoticeEvent => ({
  type: 'OrderRecipientNoted',
  data: { number: 'N-1', paymentDeadline, customerId: 'mia', email },
});
const idOf = (notice: Notice, cause: string) => idCausedBy('notification', orderId, notice.template, cause);
const requested = (notice: Notice, cause = orderId): NoticeEvent => ({
  type: 'OrderNoticeRequested',
  data: { notificationId: idOf(notice, cause), notice },
});
const sending = (notice: Notice, cause = orderId, to: string | null = 'mia@example.com'): ProcessEffect => ({
  kind: 'send',
  command: {
    type: 'SendNotification',
    data: { notificationId: idOf(notice, cause), orderId, customerId: 'mia', to, notice },
  },
});

/** What happens to a placed order, what is told of it, and what makes it the same mail. */
const later: { message: OrderMessage; notice: Notice; cause: string }[] = [
  {
    message: { type: 'OrderPaymentFailed', orderId, paymentId: 'p1', reason: 'card_declined' },
    notice: notices.PAYMENT_FAILED,
    cause: 'p1',
  },
  {
    message: { type: 'OrderCancelled', orderId, reason: PAYMENT_TIMED_OUT },
    notice: notices.PAYMENT_TIMED_OUT,
    cause: orderId,
  },
  {
    message: { type: 'OrderCancelled', orderId, reason: 'My name is Mia, and I moved.' },
    notice: notices.ORDER_CANCELLED,
    cause: orderId,
  },
  {
    message: { type: 'OrderShipped', orderId, carrier: 'Kestrel', trackingCode: 'KX-77' },
    notice: notices.ORDER_SHIPPED,
    cause: orderId,
  },
  { message: { type: 'OrderDelivered', orderId, shipmentId }, notice: notices.ORDER_DELIVERED, cause: orderId },
  {
    message: { type: 'OrderRefunded', orderId, refundId: 'r1', amount: gbp(1828) },
    notice: notices.ORDER_REFUNDED,
    cause: 'r1',
  },
];

describe('A customer is told', () => {
  test('that their order is placed, and where to is remembered', () => {
    givenProcess(tellingCustomers, [])
      .when(told(placing('mia@example.com')), context)
      .thenEvents([noted(), requested(notices.ORDER_PLACED)])
      .thenEffects([sending(notices.ORDER_PLACED)]);
  });

  test.each(later)('of $message.type by $notice.template', ({ message, notice, cause }) => {
    givenProcess(tellingCustomers, [noted()])
      .when(told(message), context)
      .thenEvents([requested(notice, cause)])
      .thenEffects([sending(notice, cause)]);
  });

  test('of each refund, and of each payment that failed', () => {
    const ids = ['r1', 'r2'].map((refundId) => idOf(notices.ORDER_REFUNDED, refundId));
    expect(new Set(ids).size).toBe(2);
    givenProcess(tellingCustomers, [noted(), requested(notices.PAYMENT_FAILED, 'p1')])
      .when(told({ type: 'OrderPaymentFailed', orderId, paymentId: 'p2', reason: 'card_declined' }), context)
      .thenEffects([sending(notices.PAYMENT_FAILED, 'p2')]);
  });
});

test('For somebody who is forgotten mails are asked for all the same, without an address', () => {
  givenProcess(tellingCustomers, [])
    .when(told(placing(null)), context)
    .thenEvents([noted(null), requested(notices.ORDER_PLACED)])
    .thenEffects([sending(notices.ORDER_PLACED, orderId, null)]);
  givenProcess(tellingCustomers, [noted(null)])
    .when(told({ type: 'OrderDelivered', orderId, shipmentId }), context)
    .thenEffects([sending(notices.ORDER_DELIVERED, orderId, null)]);
});

test('No mail tells why somebody cancelled, or why a bank declined', () => {
  const words = JSON.stringify(later.map(({ notice }) => notice));
  expect(words).not.toMatch(/Mia|moved|card_declined/);
});

describe('Nothing is told', () => {
  test.each(later)('of $message.type before the order is placed', ({ message }) => {
    givenProcess(tellingCustomers, []).when(told(message), context).thenNothing();
  });

  test('twice of placing an order', () => {
    givenProcess(tellingCustomers, [noted(), requested(notices.ORDER_PLACED)])
      .when(told(placing('mia@example.com')), context)
      .thenNothing();
  });

  test('of what needs no mail, and when a mail was not asked for', () => {
    const paid = told({ type: 'OrderPaid', orderId, paymentId: 'p1' });
    for (const input of [paid, refused('SendNotification', { status: 'DROPPED' }), due('none', NOW)]) {
      givenProcess(tellingCustomers, [noted()]).when(input, context).thenNothing();
    }
  });
});

test('There is one instance for each order', () => {
  const [event] = recorded('order', orderId, [{ type: 'OrderDelivered', data: { shipmentId } }]);
  expect(event && tellingCustomers.instanceOf(event)).toBe(orderId);
  expect(event && tellingCustomers.messageOf(event)).toEqual({ type: 'OrderDelivered', orderId, shipmentId });
  expect(new Set(tellingCustomers.eventTypes)).toEqual(
    new Set(['OrderPlaced', ...later.map(({ message }) => message.type)]),
  );
});

test('It shows what was told', () => {
  const events = [noted(), requested(notices.ORDER_PLACED), ...later.map((it) => requested(it.notice, it.cause))];
  expect(events.map(tellingCustomers.view).map(({ step, status }) => `${step}, ${status}`)).toEqual([
    'recipient, RUNNING',
    'placed, RUNNING',
    'payment failed, RUNNING',
    'payment timed out, COMPLETED',
    'cancelled, COMPLETED',
    'shipped, RUNNING',
    'delivered, COMPLETED',
    'refunded, COMPLETED',
  ]);
});

test('What it remembers fits its schemas, and the address is protected in it', () => {
  for (const event of [noted(), noted(null), ...Object.values(notices).map((notice) => requested(notice))]) {
    const definition = noticeEvents.find(({ type }) => type === event.type);
    expect(definition?.data.parse(event.data)).toEqual(event.data);
  }
  expect(noticeEvents.flatMap(({ data }) => [...protectedFields(data).keys()])).toEqual(['.email']);
});
