import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '../../platform/logger.ts';
import type { Faults } from '../faults.ts';
import { ApiError } from '../http.ts';
import { Journal } from '../journal.ts';
import { KeyedCalls, keyedCallEntry } from '../keyed-calls.ts';
import { type WebhookPatience, WebhookSender, webhookEntry } from '../webhook-sender.ts';
import { movedOn, type Pace, type SimulatedShipment, shipmentBody, simulatedShipment } from './shipment.ts';

const entry = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('shipment'), shipment: simulatedShipment }),
  ...keyedCallEntry.options,
  ...webhookEntry.options,
]);
type LedgerEntry = z.output<typeof entry>;

export interface CarrierLedgerOptions {
  readonly file: string;
  readonly secret: string;
  readonly faults: Faults;
  readonly logger: Logger;
  readonly pace: Pace | null;
  readonly webhookPausesMs: WebhookPatience;
}

const SIGNATURE_HEADER = 'simulator-signature';
const LONGEST_TIMER_MS = 60_000;

/** The shipments of the carrier, in memory and in a journal on disk; they move on by themselves. */
export class CarrierLedger {
  readonly calls: KeyedCalls<LedgerEntry>;
  readonly webhooks: WebhookSender;
  readonly #shipments = new Map<string, SimulatedShipment>();
  /** Those that move on by themselves. */
  readonly #underWay = new Map<string, SimulatedShipment>();
  readonly #journal: Journal;
  readonly #pace: Pace | null;
  #timer: NodeJS.Timeout | undefined;

  /** @throws {FolderInUse} another process has the ledger open */
  constructor({ file, secret, faults, logger, pace, webhookPausesMs }: CarrierLedgerOptions) {
    const record = (entries: readonly LedgerEntry[]) => this.record(entries);
    this.#pace = pace;
    this.calls = new KeyedCalls<LedgerEntry>(secret, faults, record);
    this.webhooks = new WebhookSender({
      secret,
      pausesMs: webhookPausesMs,
      logger,
      record,
      render: (_, event) => ({ body: JSON.stringify(event), signatureHeader: SIGNATURE_HEADER }),
    });
    this.#journal = Journal.open(file, (line) => {
      for (const it of z.array(entry).parse(line)) this.#apply(it);
    });
  }

  start(): void {
    this.webhooks.pump();
    this.#moveOn();
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
    if (entries.some((it) => it.kind === 'shipment' && it.shipment.dueAt !== null)) setImmediate(() => this.#moveOn());
  }

  /** What to write for a step: the shipment as it is now, and the webhooks about it. */
  entriesOf(shipment: SimulatedShipment): LedgerEntry[] {
    const event = {
      id: `evt_${randomUUID()}`,
      type: `shipment.${shipment.status}`,
      createdAt: new Date().toISOString(),
      shipment: shipmentBody(shipment),
    };
    return [{ kind: 'shipment', shipment }, ...this.webhooks.entriesFor(event)];
  }

  /** @throws {ApiError} there is none */
  shipment(id: string): SimulatedShipment {
    const shipment = this.#shipments.get(id);
    if (shipment === undefined) throw new ApiError(404, 'not_found', 'There is no such shipment.');
    return shipment;
  }

  shipments(): SimulatedShipment[] {
    return [...this.#shipments.values()];
  }

  report() {
    const shipments = this.shipments().map(shipmentBody);
    return { shipments, calls: this.calls.report(), unsentWebhooks: this.webhooks.pendingCount };
  }

  #apply(it: LedgerEntry): void {
    switch (it.kind) {
      case 'shipment': {
        const { shipment } = it;
        this.#shipments.set(shipment.id, shipment);
        if (shipment.dueAt === null) this.#underWay.delete(shipment.id);
        else this.#underWay.set(shipment.id, shipment);
        return;
      }
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

  /** Moves those on whose time has come, and waits for the next. */
  #moveOn(): void {
    clearTimeout(this.#timer);
    if (this.webhooks.isStopped) return;
    const now = new Date();
    let next = Number.POSITIVE_INFINITY;
    for (const shipment of [...this.#underWay.values()]) {
      const dueAt = Date.parse(shipment.dueAt ?? '');
      if (dueAt <= now.getTime()) this.record(this.entriesOf(movedOn(shipment, this.#pace, now)));
      else next = Math.min(next, dueAt);
    }
    if (next < Number.POSITIVE_INFINITY) {
      this.#timer = setTimeout(() => this.#moveOn(), Math.min(next - now.getTime(), LONGEST_TIMER_MS));
    }
  }
}
