import type { Check, Mismatch } from './check.ts';
import type { LeftOutReason, Tally, UnexpectedRejection } from './tally.ts';

/** What became of a replay: with `--json` this is what is printed. */
export interface ReplayReport {
  /** Everything was sent, nothing was refused for an unexpected reason, and every cart is as it was sent. */
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
  readonly latencyMs: Readonly<Record<'p50' | 'p90' | 'p99' | 'max', number>>;
  readonly check: { readonly carts: number; readonly unread: number; readonly mismatches: readonly Mismatch[] };
}

/** @param loadSeconds how long the carts took to fill */
export function reportOf(tally: Tally, check: Check, loadSeconds: number, givenUp: boolean): ReplayReport {
  const { mismatches } = check;
  const unexpectedRejections = [...tally.unexpected.values()];
  return {
    ok: mismatches.length === 0 && unexpectedRejections.length === 0 && tally.faults.size === 0,
    invoices: tally.invoices,
    carts: tally.carts,
    lines: { read: sum(tally.lines) + sum(tally.leftOut), ...tally.lines, leftOut: tally.leftOut },
    totals: Array.from(check.totals, ([currency, amountMinor]) => ({ amountMinor, currency })),
    rejections: Object.fromEntries(tally.rejections),
    unexpectedRejections,
    faults: Object.fromEntries(tally.faults),
    lastFault: tally.lastFault ?? null,
    resent: tally.resent,
    givenUp,
    commands: {
      count: tally.commands,
      seconds: Number(loadSeconds.toFixed(3)),
      perSecond: Number((tally.commands / loadSeconds).toFixed(1)),
    },
    latencyMs: tally.latencyMs,
    check: { carts: check.carts, unread: tally.carts - check.carts, mismatches },
  };
}

function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0);
}
