import type { Fault } from '../graphql-client.ts';
import { Latencies, type Percentiles } from './latencies.ts';

/** Why a line of the file is no line of a cart. */
export type LeftOutReason = 'cancellation' | 'quantity' | 'noProduct' | 'malformed';

/** A rejection that nobody reckoned with: how often, and the first one as it was. */
export interface UnexpectedRejection {
  readonly code: string;
  readonly example: string;
  count: number;
}

/** Everything that a replay counts while it runs. */
export class Tally {
  readonly invoices = { read: 0, empty: 0, failed: 0 };
  carts = 0;
  /** Lines that could be in a cart, by what became of them. */
  readonly lines = { added: 0, rejected: 0, inDoubt: 0, unsent: 0 };
  /** The other lines. */
  readonly leftOut: Record<LeftOutReason, number> = { cancellation: 0, quantity: 0, noProduct: 0, malformed: 0 };
  readonly rejections = new Map<string, number>();
  readonly unexpected = new Map<string, UnexpectedRejection>();
  readonly faults = new Map<string, number>();
  lastFault: string | undefined;
  /** Requests that were sent once more. */
  resent = 0;
  readonly #latencies = new Latencies();

  /** A command was answered. @param milliseconds from when it was first sent, with all that it took to get an answer */
  answered(milliseconds: number): void {
    this.#latencies.record(milliseconds);
  }

  leaveOut(reason: LeftOutReason, lines = 1): void {
    this.leftOut[reason] += lines;
  }

  rejected(code: string): void {
    increase(this.rejections, code);
  }

  unexpectedlyRejected(code: string, example: string): void {
    const known = this.unexpected.get(code);
    if (known === undefined) this.unexpected.set(code, { code, count: 1, example });
    else known.count += 1;
  }

  failed({ code, message }: Fault): void {
    increase(this.faults, code);
    this.lastFault = message;
  }

  get commands(): number {
    return this.#latencies.count;
  }

  /** How long commands took, in milliseconds. */
  get latencyMs(): Percentiles {
    return this.#latencies.percentiles;
  }
}

function increase(counts: Map<string, number>, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}
