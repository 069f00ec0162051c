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
/** Nobody takes webhooks there since then (milliseconds since 1970); null: somebody does again. */
const awayEntry = z.object({ kind: z.literal('away'), url: z.string(), since: z.number().nullable() });
/** Nobody came back: what waited for them is given up, until they register again. */
const goneEntry = z.object({ kind: z.literal('gone'), url: z.string() });
export const webhookEntry = z.discriminatedUnion('kind', [
  endpointEntry,
  deliveryEntry,
  deliveredEntry,
  awayEntry,
  goneEntry,
]);
export type WebhookEntry = z.output<typeof webhookEntry>;

/** A webhook as it is sent: its body, and the header that its signature goes into. */
export interface RenderedWebhook {
  readonly body: string;
  readonly signatureHeader: string;
}

/** How patient a sender is. */
export interface WebhookPatience {
  /** The pause after a first failure, doubled after each further one, up to the longest. */
  readonly first: number;
  readonly longest: number;
  /** Whoever is away for so long is forgotten, and a webhook that is refused for so long; a week, if left out. */
  readonly giveUp?: number;
}

export interface WebhookSenderOptions {
  readonly secret: string;
  readonly pausesMs: WebhookPatience;
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
  /** When it was refused first, since this process began. */
  refusedSince: number | undefined;
  isUnderWay: boolean;
}

interface Endpoint {
  readonly url: string;
  shape: string;
  readonly pending: Map<string, Delivery>;
  running: number;
  /** How often in a row nobody was there. */
  absences: number;
  /** Since when; null while somebody is. */
  awaySince: number | null;
  notBefore: number;
}

const AT_ONCE_PER_ENDPOINT = 8;
const TIMEOUT_MS = 10_000;
const LONGEST_TIMER_MS = 60_000;
const WEEK_MS = 604_800_000;
/** Both may have been away for a week, and start together: nobody is given up before so many attempts, minutes. */
const ATTEMPTS_BEFORE_GIVING_UP = 10;
/** Another one answers by now where the shop was: nobody knows of webhooks there. */
const NOBODYS = new Set([404, 410]);

/**
 * Delivers webhooks at least once: each is tried until its endpoint answers 2xx, and what is not delivered yet is in the
 * journal. Each attempt is signed anew, with its own time. Where nobody is there, one delivery tries for all of them; who
 * does not come back for a week is forgotten with all that waits, or the journal would grow for ever.
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
        else this.#endpoints.set(url, newEndpoint(url, shape));
        return;
      }
      case 'delivery': {
        const { id, url, event, notBefore } = entry;
        const delivery = { id, event, dueAt: notBefore, refusals: 0, refusedSince: undefined, isUnderWay: false };
        this.#endpoints.get(url)?.pending.set(id, delivery);
        return;
      }
      case 'delivered':
        this.#endpoints.get(entry.url)?.pending.delete(entry.id);
        return;
      case 'away': {
        const endpoint = this.#endpoints.get(entry.url);
        if (endpoint !== undefined) endpoint.awaySince = entry.since;
        return;
      }
      case 'gone':
        this.#endpoints.delete(entry.url);
        return;
      default:
        entry satisfies never;
    }
  }

  /** Who registers again is there again: what waits for it is sent at once. */
  register(url: string, shape: string): void {
    if (this.#endpoints.get(url)?.shape !== shape) this.#options.record([{ kind: 'endpoint', url, shape }]);
    const endpoint = this.#endpoints.get(url);
    if (endpoint !== undefined) this.#isBack(endpoint);
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
        delivery.dueAt = Date.now() + this.#options.pausesMs.longest;
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
    const status = await this.#send(endpoint, delivery);
    if (this.isStopped) return;
    if (status === undefined || NOBODYS.has(status)) this.#isAway(endpoint);
    else if (status >= 200 && status < 300) {
      if (endpoint.absences > 0 || endpoint.awaySince !== null) this.#isBack(endpoint);
      this.#end(endpoint, delivery);
    } else this.#isRefused(endpoint, delivery, status);
  }

  #isAway(endpoint: Endpoint): void {
    const { logger, record } = this.#options;
    const { url } = endpoint;
    const now = Date.now();
    endpoint.notBefore = now + this.#pauseAfter(endpoint.absences);
    endpoint.absences += 1;
    logger.debug({ url, absences: endpoint.absences }, 'nobody takes webhooks there');
    if (endpoint.awaySince === null) record([{ kind: 'away', url, since: now }]);
    // Who registered meanwhile is another one.
    if (endpoint.awaySince === null || now - endpoint.awaySince <= this.#giveUpMs) return;
    if (endpoint.absences < ATTEMPTS_BEFORE_GIVING_UP) return;
    if (this.#endpoints.get(url) !== endpoint) return;
    logger.warn({ url, unsent: endpoint.pending.size }, 'nobody came back to take webhooks there: they are given up');
    record([{ kind: 'gone', url }]);
  }

  #isRefused(endpoint: Endpoint, delivery: Delivery, status: number): void {
    const { logger } = this.#options;
    const { url } = endpoint;
    endpoint.absences = 0;
    const now = Date.now();
    delivery.dueAt = now + this.#pauseAfter(delivery.refusals);
    delivery.refusals += 1;
    delivery.refusedSince ??= now;
    logger.debug({ url, status, refusals: delivery.refusals }, 'a webhook was not taken');
    if (now - delivery.refusedSince <= this.#giveUpMs) return;
    logger.warn({ url, status, refusals: delivery.refusals }, 'a webhook is refused for good: it is given up');
    this.#end(endpoint, delivery);
  }

  #end({ url }: Endpoint, { id }: Delivery): void {
    this.#options.record([{ kind: 'delivered', id, url }]);
  }

  /** Whoever answers takes the others too: they need not wait for the end of their pauses. */
  #isBack(endpoint: Endpoint): void {
    endpoint.absences = 0;
    endpoint.notBefore = 0;
    for (const delivery of endpoint.pending.values()) {
      if (delivery.refusals > 0) delivery.dueAt = 0;
    }
    if (endpoint.awaySince !== null) this.#options.record([{ kind: 'away', url: endpoint.url, since: null }]);
  }

  get #giveUpMs(): number {
    return this.#options.pausesMs.giveUp ?? WEEK_MS;
  }

  #pauseAfter(failures: number): number {
    const { first, longest } = this.#options.pausesMs;
    return Math.min(first * 2 ** Math.min(failures, 30), longest);
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

function newEndpoint(url: string, shape: string): Endpoint {
  return { url, shape, pending: new Map(), running: 0, absences: 0, awaySince: null, notBefore: 0 };
}
