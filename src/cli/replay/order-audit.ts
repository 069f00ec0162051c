import { contentsOf } from './load.ts';
import type { ReadOrder } from './order-api.ts';

/** An order that is not as it must be. */
export interface OrderMismatch {
  readonly invoiceNo: string;
  readonly orderId: string;
  readonly problem: string;
}

/** Amounts of all orders in one currency, in its smallest unit: they must be one and the same. */
export interface OrderTotals {
  orders: number;
  /** Quantity times unit price of every line. */
  lines: number;
  /** What was taken from customers. */
  payments: number;
}

/** An order is paid, or further. */
const PAID_STATUSES: ReadonlySet<string> = new Set(['PAID', 'PREPARING', 'SHIPPED', 'DELIVERED']);

/** Whether orders and what was paid for them add up, each by itself and all together. */
export class OrderAudit {
  readonly mismatches: OrderMismatch[] = [];
  readonly totals = new Map<string, OrderTotals>();
  /** Orders that were checked. */
  orders = 0;

  check(
    order: ReadOrder,
    { invoiceNo, orderId, contents }: { invoiceNo: string; orderId: string; contents: readonly string[] },
  ): void {
    this.orders += 1;
    for (const problem of problemsOf(order, contents)) this.mismatches.push({ invoiceNo, orderId, problem });
    if (order === null) return;
    const { amountMinor, currency } = order.total;
    const totals = this.totals.get(currency) ?? { orders: 0, lines: 0, payments: 0 };
    totals.orders += amountMinor;
    totals.lines += sumOfLines(order);
    totals.payments += paidFor(order);
    this.totals.set(currency, totals);
  }

  /** All orders together cost what their lines cost, and that was paid. */
  get addsUp(): boolean {
    return [...this.totals.values()].every((it) => it.orders === it.lines && it.orders === it.payments);
  }
}

function problemsOf(order: ReadOrder, contents: readonly string[]): string[] {
  if (order === null) return ['it is not there'];
  const { status, total, lines, payments } = order;
  const problems: string[] = [];
  if (!PAID_STATUSES.has(status)) problems.push(`it is ${status}, not paid`);
  const wrongLine = lines.find((it) => it.lineTotal.amountMinor !== it.quantity * it.unitPrice.amountMinor);
  if (wrongLine !== undefined) problems.push(`the total of its line ${wrongLine.sku} is not quantity x unit price`);
  const sum = sumOfLines(order);
  if (total.amountMinor !== sum) problems.push(`its total is ${total.amountMinor}, but its lines add up to ${sum}`);
  const paid = paidFor(order);
  if (total.amountMinor !== paid) problems.push(`its total is ${total.amountMinor}, but ${paid} was paid for it`);
  const stranger = payments.find(({ amount }) => amount.currency !== total.currency);
  if (stranger !== undefined) problems.push(`it is in ${total.currency}, but was paid in ${stranger.amount.currency}`);
  const found = contentsOf(lines.map(({ sku, quantity }) => [sku, quantity]));
  if (!contents.includes(found)) problems.push(`it is for "${found}", but its cart held "${contents.join('" or "')}"`);
  return problems;
}

/** Carts of a replay have no coupons: nothing is taken off. */
function sumOfLines({ lines }: NonNullable<ReadOrder>): number {
  return lines.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice.amountMinor, 0);
}

function paidFor({ payments }: NonNullable<ReadOrder>): number {
  return payments
    .filter(({ status }) => status === 'CONFIRMED')
    .reduce((sum, { amount, refunded }) => sum + amount.amountMinor - refunded.amountMinor, 0);
}
