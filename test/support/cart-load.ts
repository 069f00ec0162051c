import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';

/**
 * Clients that fill carts over HTTP and never give up on a command: what was not answered is sent again with the same
 * commandId, until it is. They remember everything that they were told.
 */

const ANSWER = `__typename
  ... on CartPayload { receipt { ...R } }
  ... on CommandAccepted { receipt { ...R } }
  ... on Rejection { code message kept: receipt { ...R } }`;
const FRAGMENT = 'fragment R on CommandReceipt { commandId correlationId status position version replayed }';
const mutation = (field: string, type: string) =>
  `mutation ($input: ${type}!) { answer: ${field}(input: $input) { ${ANSWER} } } ${FRAGMENT}`;

const MUTATIONS = {
  createCart: mutation('createCart', 'CreateCartInput'),
  addItemToCart: mutation('addItemToCart', 'AddItemToCartInput'),
  changeItemQuantity: mutation('changeItemQuantity', 'ChangeItemQuantityInput'),
  removeItemFromCart: mutation('removeItemFromCart', 'RemoveItemFromCartInput'),
};
const ADD_PRODUCT = `mutation ($input: AddProductInput!) { answer: addProduct(input: $input) { __typename } }`;

const receipt = z.object({
  commandId: z.string(),
  correlationId: z.string(),
  status: z.string(),
  position: z.string().nullable(),
  version: z.number().nullable(),
  replayed: z.boolean(),
});
export type ToldReceipt = z.output<typeof receipt>;
const answered = z.object({
  data: z.object({
    answer: z.object({ __typename: z.string(), receipt: receipt.optional(), kept: receipt.nullish() }),
  }),
});
const failed = z.object({
  errors: z.array(z.object({ message: z.string(), extensions: z.object({ code: z.string() }) })),
});

export interface Command {
  readonly field: keyof typeof MUTATIONS;
  readonly input: { readonly commandId: string } & Readonly<Record<string, unknown>>;
}

export interface Acknowledged {
  readonly command: Command;
  readonly receipt: ToldReceipt;
  /** How often it was sent until it was answered. */
  readonly sent: number;
}

/** One answer to one command: a receipt, or why there is none. */
export type Answer = { readonly receipt: ToldReceipt } | { readonly unanswered: string };

export async function sendCommand(url: string, { field, input }: Command): Promise<Answer> {
  const body = JSON.stringify({ query: MUTATIONS[field], variables: { input } });
  let text: string;
  try {
    const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    text = await response.text();
  } catch (error) {
    return { unanswered: `no connection: ${String(error)}` };
  }
  const { data } = answered.safeParse(parseJson(text));
  const told = data?.data.answer.receipt ?? data?.data.answer.kept;
  if (told) return { receipt: told };
  const failure = failed.safeParse(parseJson(text)).data;
  return { unanswered: failure?.errors[0]?.extensions.code ?? `not understood: ${text}` };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export async function addProducts(url: string, skus: readonly string[]): Promise<void> {
  for (const sku of skus) {
    const input = { sku, name: `Product ${sku}`, price: { amountMinor: 250, currency: 'GBP' }, stock: 1_000_000 };
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query: ADD_PRODUCT, variables: { input } }),
    });
    if (!response.ok) throw new Error(await response.text());
  }
}

/** After these a client sends the command again. */
const PASSING = /^(no connection|UNAVAILABLE)$/;

/** A load of clients on carts, each cart shared by two of them. */
export class Load {
  readonly acknowledged: Acknowledged[] = [];
  /** Why commands had to be sent again, and how often. */
  readonly troubles = new Map<string, number>();
  readonly carts: readonly string[];
  readonly #skus: readonly string[];
  readonly #url: () => string;
  #isRunning = true;
  #clients: Promise<unknown> = Promise.resolve();

  /** @param url where the server is now */
  constructor(url: () => string, skus: readonly string[], cartCount: number) {
    this.#url = url;
    this.#skus = skus;
    this.carts = Array.from({ length: cartCount }, () => randomUUID());
  }

  async begin(clientCount: number): Promise<void> {
    await Promise.all(
      this.carts.map((newCartId) => this.#run({ field: 'createCart', input: { commandId: randomUUID(), newCartId } })),
    );
    this.#clients = Promise.all(Array.from({ length: clientCount }, (_, at) => this.#client(at)));
    this.#clients.catch(() => {});
  }

  /** Lets every client finish what it has sent: an answer to each. */
  async finish(): Promise<void> {
    this.#isRunning = false;
    await this.#clients;
  }

  async #client(at: number): Promise<void> {
    const cartId = Buffer.from(`Cart:${this.carts[at % this.carts.length]}`).toString('base64url');
    for (let turn = 0; this.#isRunning; turn += 1) {
      const sku = this.#skus[(at + turn) % this.#skus.length];
      const commandId = randomUUID();
      const field = (['addItemToCart', 'changeItemQuantity', 'addItemToCart', 'removeItemFromCart'] as const)[turn % 4];
      const quantity = 1 + ((turn * 7) % 13);
      const input = { commandId, cartId, sku, ...(field === 'removeItemFromCart' ? {} : { quantity }) };
      await this.#run({ field: field ?? 'addItemToCart', input });
    }
  }

  async #run(command: Command): Promise<void> {
    for (let sent = 1; ; sent += 1) {
      const answer = await sendCommand(this.#url(), command);
      if ('receipt' in answer) {
        this.acknowledged.push({ command, receipt: answer.receipt, sent });
        return;
      }
      const trouble = answer.unanswered.replace(/:.*$/s, '');
      this.troubles.set(trouble, (this.troubles.get(trouble) ?? 0) + 1);
      if (sent > 500 || !PASSING.test(trouble)) throw new Error(`It is never answered: ${answer.unanswered}`);
      await delay(25);
    }
  }
}
