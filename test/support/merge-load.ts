import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { Acknowledged, ToldReceipt } from './cart-load.ts';

/**
 * Clients that merge carts while shoppers change them. They never give up on a command: what was not answered with its
 * outcome is sent again with the same commandId, until it is.
 */

/** What a client does with carts of its own: one merge, or two that get in each other's way. */
export const MERGE_KINDS = ['plain', 'chain', 'crossing', 'other currency', 'too many', 'missing'] as const;
export type MergeKind = (typeof MERGE_KINDS)[number];

/** More of this than one cart can hold, if two come together. */
export const HEAVY_SKU = 'HEAVY';
export const EUR_SKU = 'EURO';

/** A merge with what it must end with: one of these. */
export interface Merge {
  readonly kind: MergeKind;
  readonly commandId: string;
  readonly from: string;
  readonly into: string;
  readonly endings: readonly string[];
  /** What it was answered with in the end. */
  outcome?: { readonly __typename: string; readonly receipt: ToldReceipt };
}

const ANSWER = `__typename
  ... on CartPayload { receipt { ...R } }
  ... on CommandAccepted { receipt { ...R } }
  ... on Rejection { code kept: receipt { ...R } }`;
const FRAGMENT = 'fragment R on CommandReceipt { commandId correlationId status position version replayed }';
const mutation = (field: string) =>
  `mutation ($input: ${field[0]?.toUpperCase()}${field.slice(1)}Input!) { answer: ${field}(input: $input) { ${ANSWER} } }
   ${FRAGMENT}`;

const receipt = z.object({
  commandId: z.string(),
  correlationId: z.string(),
  status: z.string(),
  position: z.string().nullable(),
  version: z.number().nullable(),
  replayed: z.boolean(),
});
const answered = z.object({
  data: z.object({
    answer: z.object({ __typename: z.string(), receipt: receipt.optional(), kept: receipt.nullish() }),
  }),
});

type Field = Acknowledged['command']['field'];
type Input = Acknowledged['command']['input'];

/** Wherever a command is not at its end yet, it is asked again. */
const UNFINISHED = new Set(['QUEUED', 'RUNNING']);
/** What a client is told while the server is killed, starts, or finds its database again. */
const PASSING = /UNAVAILABLE/;

/** Long enough to leave the machine to the server that starts. */
const PAUSE_MS = 100;

export class MergeLoad {
  /** What shoppers were told. */
  readonly acknowledged: Acknowledged[] = [];
  readonly merges: Merge[] = [];
  /** How often something had to be sent again. */
  resent = 0;
  readonly #url: () => string;
  readonly #random: () => number;
  readonly #skus: readonly string[];
  #isRunning = true;
  #clients: Promise<unknown> = Promise.resolve();

  /**
   * @param url where the server is now
   * @param random from 0 to 1
   */
  constructor(url: () => string, skus: readonly string[], random: () => number) {
    this.#url = url;
    this.#skus = skus;
    this.#random = random;
  }

  /** How many merges were answered. */
  get ended(): number {
    return this.merges.filter(({ outcome }) => outcome !== undefined).length;
  }

  begin(clientCount: number): void {
    this.#clients = Promise.all(Array.from({ length: clientCount }, (_, at) => this.#client(at)));
    this.#clients.catch(() => {});
  }

  /** Lets every client finish what it has begun: an outcome to each. */
  async finish(): Promise<void> {
    this.#isRunning = false;
    await this.#clients;
  }

  /** Fails as soon as a client does. */
  failed(): Promise<never> {
    return this.#clients.then(() => new Promise<never>(() => {}));
  }

  async #client(first: number): Promise<void> {
    for (let turn = first; this.#isRunning; turn += 1) {
      const merges = await this.#prepare(MERGE_KINDS[turn % MERGE_KINDS.length] ?? 'plain');
      this.merges.push(...merges);
      const carts = [...new Set(merges.flatMap(({ from, into }) => [into, from]))];
      await Promise.all([...merges.map((it) => this.#merge(it)), ...carts.map((cartId) => this.#shopAround(cartId))]);
    }
  }

  async #prepare(kind: MergeKind): Promise<Merge[]> {
    const merge = (from: string, into: string, ...endings: string[]): Merge => {
      return { kind, commandId: randomUUID(), from, into, endings };
    };
    switch (kind) {
      case 'plain':
        return [merge(await this.#filledCart(), await this.#filledCart(), 'CartPayload')];
      case 'chain': {
        const [first, second, third] = [await this.#filledCart(), await this.#filledCart(), await this.#filledCart()];
        const endings = ['CartPayload', 'IllegalState'];
        return [merge(first, second, ...endings), merge(second, third, ...endings)];
      }
      case 'crossing': {
        const [one, other] = [await this.#filledCart(), await this.#filledCart()];
        const endings = ['CartPayload', 'IllegalState'];
        return [merge(one, other, ...endings), merge(other, one, ...endings)];
      }
      case 'other currency':
        return [merge(await this.#filledCart(), await this.#createCart('EUR'), 'CurrencyMismatch')];
      case 'too many': {
        const [from, into] = [await this.#filledCart(), await this.#filledCart()];
        await this.#add(from, HEAVY_SKU, 5_000);
        await this.#add(into, HEAVY_SKU, 5_001);
        return [merge(from, into, 'LimitExceeded')];
      }
      case 'missing':
        return [merge(randomUUID(), await this.#filledCart(), 'NotFound')];
      default:
        return kind satisfies never;
    }
  }

  /** Changes a cart a few times while it is merged; where it is on its way, that is refused. */
  async #shopAround(cartId: string): Promise<void> {
    for (let change = 0; change < 3; change += 1) {
      const sku = this.#sku();
      const quantity = this.#quantity();
      const field = (['addItemToCart', 'changeItemQuantity', 'removeItemFromCart'] as const)[change] ?? 'addItemToCart';
      await this.#run(field, {
        cartId: globalId(cartId),
        sku,
        ...(field === 'removeItemFromCart' ? {} : { quantity }),
      });
    }
  }

  async #filledCart(): Promise<string> {
    const cartId = await this.#createCart('GBP');
    await this.#add(cartId, this.#sku(), this.#quantity());
    await this.#add(cartId, this.#sku(), this.#quantity());
    // So that it is never empty: an empty cart goes into every other one.
    await this.#add(cartId, HEAVY_SKU, 1);
    return cartId;
  }

  async #createCart(currency: string): Promise<string> {
    const newCartId = randomUUID();
    await this.#run('createCart', { newCartId, currency });
    return newCartId;
  }

  #add(cartId: string, sku: string, quantity: number): Promise<void> {
    return this.#run('addItemToCart', { cartId: globalId(cartId), sku, quantity });
  }

  async #run(field: Field, content: Readonly<Record<string, unknown>>): Promise<void> {
    const input: Input = { ...content, commandId: randomUUID() };
    const { told, sent } = await this.#untilEnded(field, input);
    this.acknowledged.push({ command: { field, input }, receipt: told.receipt, sent });
  }

  async #merge(merge: Merge): Promise<void> {
    const { commandId, from, into } = merge;
    const input = { commandId, fromCartId: globalId(from), intoCartId: globalId(into) };
    merge.outcome = (await this.#untilEnded('mergeCarts', input)).told;
  }

  async #untilEnded(field: string, input: Input) {
    for (let sent = 1; ; sent += 1) {
      const told = await this.#send(field, input);
      if (told !== undefined && !UNFINISHED.has(told.receipt.status)) return { told, sent };
      if (sent > 1_000) throw new Error(`It has no end: ${field} ${JSON.stringify(input)}`);
      this.resent += 1;
      if (told === undefined) await delay(PAUSE_MS);
    }
  }

  /** @returns undefined where nothing was answered, which is no answer at all */
  async #send(field: string, input: Input): Promise<{ __typename: string; receipt: ToldReceipt } | undefined> {
    const body = JSON.stringify({ query: mutation(field), variables: { input } });
    const headers = { 'content-type': 'application/json' };
    const text = await fetch(this.#url(), { method: 'POST', headers, body })
      .then((response) => response.text())
      .catch(() => undefined);
    if (text === undefined || PASSING.test(text)) return undefined;
    const { data } = answered.safeParse(JSON.parse(text));
    const told = data?.data.answer.receipt ?? data?.data.answer.kept;
    if (data === undefined || !told) throw new Error(`${field} was answered with ${text}`);
    return { __typename: data.data.answer.__typename, receipt: told };
  }

  #sku(): string {
    return this.#skus[Math.floor(this.#random() * this.#skus.length)] ?? '';
  }

  #quantity(): number {
    return 1 + Math.floor(this.#random() * 9);
  }
}

function globalId(cartId: string): string {
  return Buffer.from(`Cart:${cartId}`).toString('base64url');
}

/** Numbers from 0 to 1, the same for the same seed (mulberry32). */
export function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
