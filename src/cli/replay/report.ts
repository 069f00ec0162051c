import type { Check, Mismatch } from './check.ts';
import type { CheckOut, CheckOutOutcome } from './check-out.ts';
import type { Percentiles } from './latencies.ts';
import type { OrderMismatch, OrderTotals } from './order-audit.ts';
import type { LeftOutReason, Tally, UnexpectedRejection } from './tally.ts';

/** What became of a replay: with `--json` this is what is printed. */
export interface ReplayReport {
  /**
   * Everything was sent, nothing was refused for an unexpected reason, and every cart is as it was sent; with `--checkout`, each that
   * holds anything is a paid order that adds up.
   */
  readonly ok: boolean;
  /** `empty`: with no line for a cart. `failed`: the cart could not be made. The others are `carts`. */
  readonly invoices: { readonly read: number; readonly empty: number; readonly failed: number };
  readonly carts: number;
  /** `read` is the sum of all the others. */
  readonly lines: Readonly<Record<'read' | 'added' | 'rejected' | 'inDoubt' | 'unsent', number>> & {
    readonly leftOut: Readonly<Record<LeftOutReason, number>>;
  };
  /** Of the carts as they were read back. */
  readonly totals: readonly { readonly amountMinor: number; readonly currency: string }[];
  /** By code, those for want of a product too. */
  readonly rejections: Readonly<Record<string, number>>;
  readonly unexpectedRejections: readonly UnexpectedRejection[];
  /** Requests that failed for good, by code. */
  readonly faults: Readonly<Record<string, number>>;
  readonly lastFault: string | null;
  /** How often a request was sent again. */
  readonly resent: number;
  /** Nobody answered any more: the rest of the file was not read. */
  readonly givenUp: boolean;
  /** Commands that were answered. */
  readonly commands: { readonly count: number; readonly seconds: number; readonly perSecond: number };
  readonly latencyMs: Percentiles;
  readonly check: { readonly carts: number; readonly unread: number; readonly mismatches: readonly Mismatch[] };
  /** Null without `--checkout`. */
  readonly checkout: CheckoutReport | null;
}

/** What became of carts that were checked out. */
export interface CheckoutReport {
  /** `notSent`: it was given up before. The sum of all is `carts` of the replay. */
  readonly carts: Readonly<Record<CheckOutOutcome | 'notSent', number>>;
  /** Orders that were placed, and how fast they became paid ones. */
  readonly orders: { readonly placed: number; readonly seconds: number; readonly paidPerSecond: number };
  /** Of the orders that were read back. */
  readonly totals: readonly ({ readonly currency: string } & Readonly<OrderTotals>)[];
  readonly checkOutMs: Percentiles;
  readonly paymentMs: Percentiles;
  readonly check: { readonly orders: number; readonly addsUp: boolean; readonly mismatches: readonly OrderMismatch[] };
}

/** A part of a replay that has ended. */
export interface Phase<Work> {
  readonly work: Work;
  readonly seconds: number;
  readonly givenUp: boolean;
}

/** @param load of which only the time counts here */
export function reportOf(
  tally: Tally,
  load: Phase<unknown>,
  check: Check,
  checkOut: Phase<CheckOut> | undefined,
): ReplayReport {
  const { mismatches } = check;
  const unexpectedRejections = [...tally.unexpected.values()];
  const areOrdersFine = checkOut === undefined || areFine(checkOut.work);
  return {
    ok: mismatches.length === 0 && unexpectedRejections.length === 0 && tally.faults.size === 0 && areOrdersFine,
    invoices: tally.invoices,
    carts: tally.carts,
    lines: { read: sum(tally.lines) + sum(tally.leftOut), ...tally.lines, leftOut: tally.leftOut },
    totals: Array.from(check.totals, ([currency, amountMinor]) => ({ amountMinor, currency })),
    rejections: Object.fromEntries(tally.rejections),
    unexpectedRejections,
    faults: Object.fromEntries(tally.faults),
    lastFault: tally.lastFault ?? null,
    resent: tally.resent,
    givenUp: load.givenUp || checkOut?.givenUp === true,
    commands: {
      count: tally.commands,
      seconds: Number(load.seconds.toFixed(3)),
      perSecond: Number((tally.commands / load.seconds).toFixed(1)),
    },
    latencyMs: tally.latencyMs,
    check: { carts: check.carts, unread: tally.carts - check.carts, mismatches },
    checkout: checkOut === undefined ? null : checkoutReportOf(checkOut, tally.carts),
  };
}

function areFine({ audit }: CheckOut): boolean {
  return audit.mismatches.length === 0 && audit.addsUp;
}

function checkoutReportOf({ work, seconds }: Phase<CheckOut>, carts: number): CheckoutReport {
  const { audit, outcomes, placed } = work;
  return {
    carts: { ...outcomes, notSent: carts - work.carts },
    orders: {
      placed,
      seconds: Number(seconds.toFixed(3)),
      paidPerSecond: Number((outcomes.paid / seconds).toFixed(1)),
    },
    totals: Array.from(audit.totals, ([currency, totals]) => ({ currency, ...totals })),
    checkOutMs: work.checkOuts.percentiles,
    paymentMs: work.payments.percentiles,
    check: { orders: audit.orders, addsUp: audit.addsUp, mismatches: audit.mismatches },
  };
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
