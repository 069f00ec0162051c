import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '../../platform/logger.ts';
import type { Faults } from '../faults.ts';
import { ApiError } from '../http.ts';
import { Journal } from '../journal.ts';
import { KeyedCalls, keyedCallEntry } from '../keyed-calls.ts';
import { type RenderedWebhook, type WebhookPatience, WebhookSender, webhookEntry } from '../webhook-sender.ts';
import {
  PAYMENT_EVENTS,
  refundedMinorOf,
  type SimulatedPayment,
  type Step,
  simulatedPayment,
  takenLate,
} from './payment.ts';

/** What the shop is told, with the payment as it was then. */
export const paymentEvent = z.object({
  id: z.string(),
  type: z.enum(PAYMENT_EVENTS),
  createdAt: z.string(),
  payment: simulatedPayment,
  /** The id of the refund that it is about. */
  refund: z.string().nullable(),
});
export type PaymentEvent = z.output<typeof paymentEvent>;

const entry = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('payment'), payment: simulatedPayment }),
  ...keyedCallEntry.options,
  ...webhookEntry.options,
]);
export type LedgerEntry = z.output<typeof entry>;

export interface LedgerOptions {
  readonly file: string;
  readonly secret: string;
  readonly faults: Faults;
  readonly logger: Logger;
  /** How long after another one the first webhook of `tok_disorder` comes. */
  readonly disorderMs: number;
  readonly webhookPausesMs: WebhookPatience;
  readonly render: (shape: string, event: PaymentEvent) => RenderedWebhook;
}

const LONGEST_TIMER_MS = 60_000;

/** The payments of the provider, what was answered and what is still to be told: in memory, and in a journal on disk. */
export class PaymentLedger {
  readonly calls: KeyedCalls<LedgerEntry>;
  readonly webhooks: WebhookSender;
  readonly #payments = new Map<string, SimulatedPayment>();
  readonly #journal: Journal;
  readonly #disorderMs: number;
  #timer: NodeJS.Timeout | undefined;

  /** @throws {FolderInUse} another process has the ledger open */
  constructor({ file, secret, faults, logger, disorderMs, webhookPausesMs, render }: LedgerOptions) {
    const record = (entries: readonly LedgerEntry[]) => this.record(entries);
    this.#disorderMs = disorderMs;
    this.calls = new KeyedCalls<LedgerEntry>(secret, faults, record);
    this.webhooks = new WebhookSender({
      secret,
      pausesMs: webhookPausesMs,
      logger,
      record,
      render: (shape, event) => render(shape, paymentEvent.parse(event)),
    });
    this.#journal = Journal.open(file, (line) => {
      for (const it of z.array(entry).parse(line)) this.#apply(it);
    });
  }

  /** Goes on with what was left when the process before this one ended. */
  start(): void {
    this.webhooks.pump();
    this.#awaitLateOnes();
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.webhooks.stop();
    this.#journal.close();
  }

  /** Writes all of it in one line, so that all of it or nothing is there after a crash. */
  record(entries: readonly LedgerEntry[]): void {
    this.#journal.append(entries);
    for (const it of entries) this.#apply(it);
    if (entries.some(({ kind }) => kind === 'delivery')) setImmediate(() => this.webhooks.pump());
    if (entries.some((it) => it.kind === 'payment' && it.payment.dueAt !== null))
      setImmediate(() => this.#awaitLateOnes());
  }

  /** What to write for a step: the payment as it is now, and the webhooks about it. */
  entriesOf({ payment, events, refund }: Step): LedgerEntry[] {
    const { behaviour } = payment;
    const now = new Date();
    // The oldest news comes last, and everything comes again.
    const isHeldBack = behaviour === 'disorder' && events.includes('payment.authorised');
    const notBefore = isHeldBack ? now.getTime() + this.#disorderMs : 0;
    const times = behaviour === 'disorder' ? 2 : 1;
    const said = behaviour === 'twice' ? [...events, ...events] : events;
    const told = said.flatMap((type) => {
      const event: PaymentEvent = {
        id: `evt_${randomUUID()}`,
        type,
        createdAt: now.toISOString(),
        payment,
        refund: refund?.id ?? null,
      };
      return this.webhooks.entriesFor(event, { times, notBefore });
    });
    return [{ kind: 'payment', payment }, ...told];
  }

  /** @throws {ApiError} there is none */
  payment(id: string): SimulatedPayment {
    const payment = this.#payments.get(id);
    if (payment === undefined) throw new ApiError(404, 'not_found', 'There is no such payment.');
    return payment;
  }

  /** Oldest first. */
  payments(): SimulatedPayment[] {
    return [...this.#payments.values()];
  }

  /** For tests: what was taken, and how it was asked for. */
  report() {
    const payments = this.payments().map((payment) => ({
      id: payment.id,
      reference: payment.reference,
      status: payment.status,
      currency: payment.currency,
      authorisedMinor: ['authorised', 'captured'].includes(payment.status) ? payment.amountMinor : 0,
      capturedMinor: payment.capturedMinor,
      refundedMinor: refundedMinorOf(payment),
      refunds: payment.refunds.map(({ reference, amountMinor, status }) => ({ reference, amountMinor, status })),
    }));
    return { payments, calls: this.calls.report(), unsentWebhooks: this.webhooks.pendingCount };
  }

  #apply(it: LedgerEntry): void {
    switch (it.kind) {
      case 'payment':
        this.#payments.set(it.payment.id, it.payment);
        return;
      case 'call':
      case 'answer':
        this.calls.apply(it);
        return;
      case 'endpoint':
      case 'delivery':
      case 'delivered':
      case 'away':
      case 'gone':
        this.webhooks.apply(it);
        return;
      default:
        it satisfies never;
    }
  }

  /** Takes the money of those whose time has come, and waits for the next. */
  #awaitLateOnes(): void {
    clearTimeout(this.#timer);
    if (this.webhooks.isStopped) return;
    const now = Date.now();
    const late = this.payments().flatMap((payment) =>
      payment.dueAt === null ? [] : [{ payment, dueAt: Date.parse(payment.dueAt) }],
    );
    for (const { payment } of late.filter(({ dueAt }) => dueAt <= now)) this.record(this.entriesOf(takenLate(payment)));
    const next = Math.min(...late.map(({ dueAt }) => dueAt).filter((dueAt) => dueAt > now));
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#awaitLateOnes(), Math.min(next - now, LONGEST_TIMER_MS));
  }
}
