import { expect } from 'vitest';
import { z } from 'zod';
import type { StockEvent } from '../../src/contexts/catalog/events.ts';
import { stockDecider } from '../../src/contexts/catalog/stock-decider.ts';
import { orderRow } from '../../src/contexts/ordering/projection.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { ReadRows } from '../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../src/platform/database.ts';
import type { PlacedOrder } from './checkout-load.ts';
import type { ReceivedMail } from './mail-server.ts';
import { testCodec } from './master-key.ts';
import type { SimulatorClient } from './simulators.ts';

/** What must add up after many orders were placed, paid, cancelled and returned: money, goods and mails. */

type Ledger = Awaited<ReturnType<SimulatorClient['ledger']>>;
type OrderRow = z.output<typeof orderRow>;
/** What was taken, and what was paid back. */
type Sums = [captured: number, refunded: number];

const FINAL = ['DELIVERED', 'CANCELLED', 'RETURNED', 'PARTIALLY_RETURNED'];
const money = z.object({ amountMinor: z.number() });
const eventData = z.object({
  orderId: z.string().optional(),
  amount: money.optional(),
  refund: money.optional(),
  refunded: money.optional(),
  reason: z.string().optional(),
});

/** Orders as the shop shows them; each is at its end. */
export async function endedOrders(database: Database, placed: readonly PlacedOrder[]): Promise<OrderRow[]> {
  const table = { name: 'order_view', key: 'id', row: orderRow } as const;
  const rows = await new ReadRows(table, database.derived, await testCodec(database)).find('');
  expect(rows.filter(({ status }) => !FINAL.includes(status)).map(({ id, status }) => [id, status])).toEqual([]);
  expect(rows.map(({ number }) => number).sort()).toEqual(placed.map(({ number }) => number).sort());
  return rows;
}

/** The provider's ledger, payments, orders: all three tell of the same money, to the penny. */
export function expectMoneyToAddUp(
  orders: readonly OrderRow[],
  events: readonly RecordedEvent[],
  ledger: Ledger,
): void {
  const open = ledger.payments.filter(({ status }) => !['captured', 'failed', 'cancelled'].includes(status));
  expect(open, 'the provider holds no money that nobody takes').toEqual([]);

  const atProvider = new Map(
    ledger.payments.map((it): [string, Sums] => [it.reference, [it.capturedMinor, it.refundedMinor]]),
  );
  const inShop = new Map<string, Sums>();
  const refundedByOrder = new Map<string, number>();
  for (const { type, aggregateId, data: raw } of events) {
    const { amount, refunded } = eventData.parse(raw);
    if (type === 'PaymentRequested') inShop.set(aggregateId, [0, 0]);
    const known = inShop.get(aggregateId);
    if (type === 'PaymentConfirmed') inShop.set(aggregateId, [amount?.amountMinor ?? Number.NaN, 0]);
    if (type === 'PaymentRefunded' && known !== undefined) known[1] = refunded?.amountMinor ?? Number.NaN;
    if (type === 'OrderRefunded') {
      refundedByOrder.set(aggregateId, (refundedByOrder.get(aggregateId) ?? 0) + (amount?.amountMinor ?? Number.NaN));
    }
  }
  expect(inShop.size, 'each payment at the provider is known').toBeGreaterThanOrEqual(atProvider.size);
  const seenByProvider = [...inShop.keys()].map((id): [string, Sums] => [id, atProvider.get(id) ?? [0, 0]]);
  expect(inShop, 'payments are as the provider has them').toEqual(new Map(seenByProvider));

  for (const { id, number, status, totalMinor, payments } of orders) {
    const sums = payments.map(({ paymentId }): Sums => inShop.get(paymentId) ?? [Number.NaN, Number.NaN]);
    const captured = sums.reduce((sum, [it]) => sum + it, 0);
    const refunded = sums.reduce((sum, [, it]) => sum + it, 0);
    const returned = sumOf(events, 'OrderItemsReturned', id, (it) => it.refund?.amountMinor);
    const due = status === 'CANCELLED' ? 0 : totalMinor - returned;
    expect(captured - refunded, `${number} (${status}) costs what it must`).toBe(due);
    expect(refundedByOrder.get(id) ?? 0, `${number} tells of every penny that went back`).toBe(refunded);
    const shown = payments.reduce((sum, it) => sum + it.refundedMinor, 0);
    expect(shown, `${number} shows every penny that went back`).toBe(refunded);
    const kept = sums.filter(([taken, back]) => taken > 0 && taken - back > 0);
    expect(kept.length, `${number} is paid once`).toBeLessThanOrEqual(1);
  }
}

/** What was asked of a party outside was repeated with the same key and body alone, and once for each thing. */
export function expectSafeRepeats(calls: Ledger['calls']): void {
  expect(calls.filter(({ bodies }) => bodies !== 1)).toEqual([]);
  const things = calls.map(({ operation, subject }) => `${operation} ${subject}`);
  expect(things.length, 'one key for each thing').toBe(new Set(things).size);
}

/** Each piece that left the stock is with a customer; nothing is held for anybody any more. */
export function expectGoodsToAddUp(
  orders: readonly OrderRow[],
  events: readonly RecordedEvent[],
  skus: readonly string[],
  atFirst: number,
): void {
  const withCustomers = new Map(skus.map((sku) => [sku, 0]));
  for (const { status, lines } of orders) {
    if (status === 'CANCELLED') continue;
    for (const { sku, quantity, returned } of lines) {
      withCustomers.set(sku, (withCustomers.get(sku) ?? 0) + quantity - returned);
    }
  }
  for (const sku of skus) {
    const own = events.filter(({ aggregateType, aggregateId }) => aggregateType === 'stock' && aggregateId === sku);
    const stock = own.reduce(
      (state, { type, data }) => stockDecider.evolve(state, { type, data } as StockEvent),
      stockDecider.initialState,
    );
    const left = atFirst - (withCustomers.get(sku) ?? 0);
    expect(stock, `the stock of ${sku}`).toMatchObject({ status: 'open', reserved: 0, onHand: left });
  }
}

/** Nobody has both the goods and the money: what an order that was cancelled had, the carrier does not bring. */
export function expectCarriedGoodsToBePaid(orders: readonly OrderRow[], { shipments }: Ledger): void {
  const carried = new Set(shipments.filter(({ status }) => status !== 'cancelled').map(({ reference }) => reference));
  const given = orders.filter(
    ({ status, shipments: own }) => status === 'CANCELLED' && own.some(({ shipmentId }) => carried.has(shipmentId)),
  );
  expect(given.map(({ number }) => number)).toEqual([]);
}

/** Each customer was told each thing; of what came twice, the Message-ID tells that it is the same. */
export function expectMailsToAddUp(
  placed: readonly PlacedOrder[],
  events: readonly RecordedEvent[],
  mails: readonly ReceivedMail[],
): void {
  const byId = new Map<string, ReceivedMail>();
  for (const mail of mails) {
    const first = byId.get(mail.messageId) ?? mail;
    expect([mail.to, mail.subject, mail.text], `${mail.messageId} is one mail`).toEqual([
      first.to,
      first.subject,
      first.text,
    ]);
    byId.set(mail.messageId, first);
  }
  const orders = new Map(placed.map((it) => [it.orderId, it]));
  const expected = new Map<string, string[]>(placed.map(({ plan }) => [plan.email, []]));
  for (const { type, aggregateType, aggregateId, data } of events) {
    const order = aggregateType === 'order' ? orders.get(orderNode(aggregateId)) : undefined;
    if (order === undefined) continue;
    const subject = subjectOf(type, order.number, eventData.parse(data).reason);
    if (subject !== undefined) expected.get(order.plan.email)?.push(subject);
  }
  const found = new Map<string, string[]>(placed.map(({ plan }) => [plan.email, []]));
  for (const { to, subject } of byId.values()) {
    const [email = ''] = to;
    found.set(email, [...(found.get(email) ?? []), subject]);
  }
  const sorted = (it: Map<string, string[]>) => new Map([...it].map(([email, subjects]) => [email, subjects.sort()]));
  expect(sorted(found), 'every customer was told everything, once by Message-ID').toEqual(sorted(expected));
}

function subjectOf(type: string, number: string, reason: string | undefined): string | undefined {
  switch (type) {
    case 'OrderPlaced':
      return `We have your order ${number}`;
    case 'OrderPaymentFailed':
      return `The payment of your order ${number} did not work`;
    case 'OrderCancelled':
      return reason === 'PAYMENT_TIMED_OUT'
        ? `Your order ${number} was cancelled: it was not paid in time`
        : `Your order ${number} was cancelled`;
    case 'OrderShipped':
      return `Your order ${number} is on its way`;
    case 'OrderDelivered':
      return `Your order ${number} was delivered`;
    case 'OrderRefunded':
      return `Money back for your order ${number}`;
    default:
      return undefined;
  }
}

function orderNode(id: string): string {
  return Buffer.from(`Order:${id}`).toString('base64url');
}

function sumOf(
  events: readonly RecordedEvent[],
  type: string,
  aggregateId: string,
  amount: (data: z.output<typeof eventData>) => number | undefined,
): number {
  return events
    .filter((it) => it.type === type && it.aggregateId === aggregateId)
    .reduce((sum, { data }) => sum + (amount(eventData.parse(data)) ?? Number.NaN), 0);
}
