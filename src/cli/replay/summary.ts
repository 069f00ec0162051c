import type { Percentiles } from './latencies.ts';
import type { CheckoutReport, ReplayReport } from './report.ts';

const SHOWN_MISMATCHES = 10;

/** A report for people: a table, and below it what went wrong. */
export function summaryOf(report: ReplayReport): string {
  const { invoices, lines, commands, latencyMs, check } = report;
  const { leftOut } = lines;
  const carts = { carts: report.carts, 'without a line for a cart': invoices.empty, failed: invoices.failed };
  const outcomes = {
    added: lines.added,
    cancellation: leftOut.cancellation,
    'no positive whole quantity': leftOut.quantity,
    'no product': leftOut.noProduct,
    malformed: leftOut.malformed,
    rejected: lines.rejected,
    'in doubt': lines.inDoubt,
    'not sent': lines.unsent,
  };
  const doubts = { mismatches: check.mismatches.length, 'not read': check.unread };
  const rows = {
    Invoices: `${whole(invoices.read)}: ${counted(carts)}`,
    Lines: `${whole(lines.read)}: ${counted(outcomes)}`,
    Totals: report.totals.map(money).join(', ') || 'none',
    Rejections: counted(report.rejections),
    Commands: `${whole(commands.count)} in ${commands.seconds.toFixed(1)} s: ${whole(commands.perSecond)} per second`,
    Latency: percentiles(latencyMs),
    Faults: counted(report.faults),
    'Sent again': counted({ requests: report.resent }),
    Checked: `${whole(check.carts)} carts: ${counted(doubts, 'all as they were sent, totals equal the sums of their lines')}`,
    ...(report.checkout === null ? {} : checkoutRows(report.checkout)),
  };
  const table = Object.entries(rows).map(([name, text]) => `${name.padEnd(12)}${text}`);
  return `${[...table, ...problemsOf(report)].join('\n')}\n`;
}

function checkoutRows({ carts, orders, totals, checkOutMs, paymentMs, check }: CheckoutReport): Record<string, string> {
  const outcomes = {
    paid: carts.paid,
    'without anything in it': carts.empty,
    'in doubt': carts.inDoubt,
    'refused at check-out': carts.refused,
    'not paid': carts.unpaid,
    failed: carts.failed,
    'not sent': carts.notSent,
  };
  const sums = totals.map(({ currency, ...it }) => {
    const shown = (amountMinor: number) => money({ amountMinor, currency });
    return `${shown(it.orders)} ordered, ${shown(it.lines)} in their lines, ${shown(it.payments)} paid`;
  });
  const doubts = { mismatches: check.mismatches.length };
  return {
    'Checked out': counted(outcomes),
    Orders: `${whole(orders.placed)} placed in ${orders.seconds.toFixed(1)} s: ${orders.paidPerSecond.toFixed(1)} paid per second`,
    'Check-outs': percentiles(checkOutMs),
    Payments: percentiles(paymentMs),
    Sums: sums.join('; ') || 'none',
    Audited: `${whole(check.orders)} orders: ${counted(doubts, 'each is the sum of its lines, and that was paid')}`,
  };
}

function problemsOf(report: ReplayReport): string[] {
  const { unexpectedRejections, lastFault, givenUp, check, checkout } = report;
  const mismatches = [
    ...check.mismatches.map((it) => `the cart ${it.cartId} of invoice ${it.invoiceNo}: ${it.problem}`),
    ...(checkout?.check.mismatches ?? []).map(
      (it) => `the order ${it.orderId} of invoice ${it.invoiceNo}: ${it.problem}`,
    ),
  ];
  const more = mismatches.length - SHOWN_MISMATCHES;
  return [
    ...unexpectedRejections.map(
      ({ code, count, example }) => `Unexpected: ${whole(count)} ${code}, first for ${example}`,
    ),
    ...(lastFault === null ? [] : [`The last fault: ${lastFault}`]),
    ...(givenUp ? ['Nobody answered any more: the rest of the file was not sent.'] : []),
    ...mismatches.slice(0, SHOWN_MISMATCHES).map((text) => `Mismatch: ${text}.`),
    ...(more > 0 ? [`… and ${whole(more)} mismatches more: see --json.`] : []),
  ];
}

/** What there is none of is left out. @param none the text where there is nothing at all */
function counted(counts: Readonly<Record<string, number>>, none = 'none'): string {
  const present = Object.entries(counts).filter(([, count]) => count > 0);
  return present.map(([name, count]) => `${whole(count)} ${name}`).join(', ') || none;
}

function percentiles(latencies: Percentiles): string {
  return Object.entries(latencies)
    .map(([name, milliseconds]) => `${name} ${milliseconds.toFixed(1)} ms`)
    .join(', ');
}

function whole(count: number): string {
  return Math.round(count).toLocaleString('en-GB');
}

function money({ amountMinor, currency }: ReplayReport['totals'][number]): string {
  const { maximumFractionDigits: digits = 2 } = new Intl.NumberFormat('en', {
    style: 'currency',
    currency,
  }).resolvedOptions();
  const exactly = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return `${currency} ${(amountMinor / 10 ** digits).toLocaleString('en-GB', exactly)}`;
}
