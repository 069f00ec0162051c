import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { Logger } from '../platform/logger.ts';
import { signWebhook } from '../platform/webhook-signature.ts';

const endpointEntry = z.object({ kind: z.literal('endpoint'), url: z.string(), shape: z.string() });
const deliveryEntry = z.object({
  kind: z.literal('delivery'),
  id: z.string(),
  url: z.string(),
  event: z.unknown(),
  /** Milliseconds since 1970. */
  notBefore: z.number(),
});
const deliveredEntry = z.object({ kind: z.literal('delivered'), id: z.string(), url: z.string() });
export const webhookEntry = z.discriminatedUnion('kind', [endpointEntry, deliveryEntry, deliveredEntry]);
export type WebhookEntry = z.output<typeof webhookEntry>;

/** A webhook as it is sent: its body, and the header that its signature goes into. */
export interface RenderedWebhook {
  readonly body: string;
  readonly signatureHeader: string;
}

export interface WebhookSenderOptions {
  readonly secret: string;
  /** The pause after a first failure, doubled after each further one, up to the longest. */
  readonly firstPauseMs: number;
  readonly longestPauseMs: number;
  readonly logger: Logger;
  /** Writes and applies: see `apply`. */
  readonly record: (entries: readonly WebhookEntry[]) => void;
  readonly render: (shape: string, event: unknown) => RenderedWebhook;
}

interface Delivery {
  readonly id: string;
  readonly event: unknown;
  dueAt: number;
  refusals: number;
  isUnderWay: boolean;
}

interface Endpoint {
  readonly url: string;
  shape: string;
  readonly pending: Map<string, Delivery>;
  running: number;
  /** How often in a row nobody was there. */
  absences: number;
  notBefore: number;
}

const AT_ONCE_PER_ENDPOINT = 8;
const TIMEOUT_MS = 10_000;
const LONGEST_TIMER_MS = 60_000;

/**
 * Delivers webhooks at least once: each is tried until its endpoint answers 2xx, and what is not delivered yet is in the
 * journal. Each attempt is signed anew, with its own time. Where nobody is there, one delivery tries for all of them.
 */
export class WebhookSender {
  readonly #options: WebhookSenderOptions;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #stopped = new AbortController();
  readonly #underWay = new Set<Promise<void>>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WebhookSenderOptions) {
    this.#options = options;
  }

  apply(entry: WebhookEntry): void {
    switch (entry.kind) {
      case 'endpoint': {
        const { url, shape } = entry;
        const known = this.#endpoints.get(url);
        if (known !== undefined) known.shape = shape;
        else this.#endpoints.set(url, { url, shape, pending: new Map(), running: 0, absences: 0, notBefore: 0 });
        return;
      }
      case 'delivery': {
        const { id, url, event, notBefore } = entry;
        const delivery = { id, event, dueAt: notBefore, refusals: 0, isUnderWay: false };
        this.#endpoints.get(url)?.pending.set(id, delivery);
        return;
      }
      case 'delivered':
        this.#endpoints.get(entry.url)?.pending.delete(entry.id);
        return;
      default:
        entry satisfies never;
    }
  }

  /** Who registers again is there again: what waits for it is sent at once. */
  register(url: string, shape: string): void {
    if (this.#endpoints.get(url)?.shape !== shape) this.#options.record([{ kind: 'endpoint', url, shape }]);
    const endpoint = this.#endpoints.get(url);
    if (endpoint !== undefined) isBack(endpoint);
    this.pump();
  }

  /** What to write so that an event is sent to every endpoint, so many times, not before an instant. */
  entriesFor(event: unknown, { times = 1, notBefore = 0 } = {}): WebhookEntry[] {
    return [...this.#endpoints.keys()].flatMap((url) =>
      Array.from({ length: times }, () => ({ kind: 'delivery' as const, id: randomUUID(), url, event, notBefore })),
    );
  }

  get pendingCount(): number {
    return [...this.#endpoints.values()].reduce((sum, { pending }) => sum + pending.size, 0);
  }

  get isStopped(): boolean {
    return this.#stopped.signal.aborted;
  }

  /** Sends what is due, and comes back for the rest. */
  pump(): void {
    clearTimeout(this.#timer);
    if (this.isStopped) return;
    const now = Date.now();
    const next = Math.min(...[...this.#endpoints.values()].map((endpoint) => this.#sendDue(endpoint, now)));
    if (next === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.pump(), Math.min(next - now, LONGEST_TIMER_MS));
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    clearTimeout(this.#timer);
    await Promise.all(this.#underWay);
  }

  /** @returns when to come back */
  #sendDue(endpoint: Endpoint, now: number): number {
    if (endpoint.pending.size === 0) return Number.POSITIVE_INFINITY;
    if (endpoint.notBefore > now) return endpoint.notBefore;
    const atOnce = endpoint.absences > 0 ? 1 : AT_ONCE_PER_ENDPOINT;
    let next = Number.POSITIVE_INFINITY;
    for (const delivery of endpoint.pending.values()) {
      // Each that ends comes back here.
      if (endpoint.running >= atOnce) break;
      if (delivery.isUnderWay) continue;
      if (delivery.dueAt > now) next = Math.min(next, delivery.dueAt);
      else this.#begin(endpoint, delivery);
    }
    return next;
  }

  #begin(endpoint: Endpoint, delivery: Delivery): void {
    endpoint.running += 1;
    delivery.isUnderWay = true;
    const work = this.#deliver(endpoint, delivery)
      .catch((error: unknown) => {
        delivery.dueAt = Date.now() + this.#options.longestPauseMs;
        this.#options.logger.error({ err: error }, 'a delivered webhook could not be noted');
      })
      .finally(() => {
        endpoint.running -= 1;
        delivery.isUnderWay = false;
        this.#underWay.delete(work);
        this.pump();
      });
    this.#underWay.add(work);
  }

  async #deliver(endpoint: Endpoint, delivery: Delivery): Promise<void> {
    const { logger, record } = this.#options;
    const { url } = endpoint;
    const status = await this.#send(endpoint, delivery);
    if (this.isStopped) return;
    if (status === undefined) {
      endpoint.notBefore = Date.now() + this.#pauseAfter(endpoint.absences);
      endpoint.absences += 1;
      logger.debug({ url, absences: endpoint.absences }, 'nobody takes webhooks there');
    } else if (status >= 200 && status < 300) {
      if (endpoint.absences > 0) isBack(endpoint);
      record([{ kind: 'delivered', id: delivery.id, url }]);
    } else {
      endpoint.absences = 0;
      delivery.dueAt = Date.now() + this.#pauseAfter(delivery.refusals);
      delivery.refusals += 1;
      logger.debug({ url, status, refusals: delivery.refusals }, 'a webhook was not taken');
    }
  }

  #pauseAfter(failures: number): number {
    const { firstPauseMs, longestPauseMs } = this.#options;
    return Math.min(firstPauseMs * 2 ** Math.min(failures, 30), longestPauseMs);
  }

  /** @returns the status of the answer; undefined where there was none */
  async #send({ url, shape }: Endpoint, { event }: Delivery): Promise<number | undefined> {
    const { secret, render } = this.#options;
    const { body, signatureHeader } = render(shape, event);
    try {
      const response = await fetch(url, {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json', [signatureHeader]: signWebhook(secret, body, new Date()) },
        signal: AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return undefined;
    }
  }
}

/** Whoever answers takes the others too: they need not wait for the end of their pauses. */
function isBack(endpoint: Endpoint): void {
  endpoint.absences = 0;
  endpoint.notBefore = 0;
  for (const delivery of endpoint.pending.values()) {
    if (delivery.refusals > 0) delivery.dueAt = 0;
  }
}
