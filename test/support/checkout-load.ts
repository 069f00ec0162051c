import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import type { Acknowledged, ToldReceipt } from './cart-load.ts';
import { randomOf } from './merge-load.ts';

/**
 * Customers who check out and pay, each in their own way: with cards that work, that are declined, that nothing is heard
 * of; some think better of it, some send goods back. They never give up on a command: what was not answered with its
 * outcome is sent again with the same commandId, until it is.
 */

const RECEIPT = 'receipt { commandId correlationId status position version replayed }';
const ORDER = 'id status number payments { id status nextAction { url } } lines { sku quantity }';
const ANSWER = `__typename
  ... on CommandAccepted { ${RECEIPT} }
  ... on Rejection { code message kept: ${RECEIPT} }`;
const OF_CART = `${ANSWER} ... on CartPayload { ${RECEIPT} }`;
const OF_ORDER = `${ANSWER} ... on OrderPayload { order { ${ORDER} } ${RECEIPT} }`;
const mutation = (field: string, type: string, selection: string) =>
  `mutation ($input: ${type}!) { answer: ${field}(input: $input) { ${selection} } }`;

const MUTATIONS = {
  createCart: mutation('createCart', 'CreateCartInput', OF_CART),
  addItemToCart: mutation('addItemToCart', 'AddItemToCartInput', OF_CART),
  checkOutCart: mutation('checkOutCart', 'CheckOutCartInput', OF_ORDER),
  payOrder: mutation('payOrder', 'PayOrderInput', `${OF_ORDER} ... on PaymentDeclined { reason }`),
  cancelOrder: mutation('cancelOrder', 'CancelOrderInput', OF_ORDER),
  returnItems: mutation('returnItems', 'ReturnItemsInput', OF_ORDER),
};
type Field = keyof typeof MUTATIONS;

const receipt = z.object({
  commandId: z.string(),
  correlationId: z.string(),
  status: z.string(),
  position: z.string().nullable(),
  version: z.number().nullable(),
  replayed: z.boolean(),
});
const order = z.object({
  id: z.string(),
  number: z.string(),
  status: z.string(),
  payments: z.array(
    z.object({ id: z.string(), status: z.string(), nextAction: z.object({ url: z.string().nullable() }).nullable() }),
  ),
  lines: z.array(z.object({ sku: z.string(), quantity: z.number() })),
});
type Order = z.output<typeof order>;
const answer = z.object({
  __typename: z.string(),
  receipt: receipt.optional(),
  kept: receipt.nullish(),
  code: z.string().optional(),
  message: z.string().optional(),
  reason: z.string().optional(),
  order: order.optional(),
});
type Answer = z.output<typeof answer>;
const answered = z.object({ data: z.object({ answer }) });
const shown = z.object({ data: z.object({ order: order.nullable() }) });
const failed = z.object({ errors: z.array(z.object({ extensions: z.object({ code: z.string() }) })) });

/** How often which card is drawn, of 100. */
const CARDS: readonly (readonly [token: string | null, weight: number])[] = [
  ['tok_ok', 30],
  ['tok_twice', 11],
  ['tok_disorder', 11],
  ['tok_hang', 8],
  ['tok_decline', 14],
  ['tok_action', 10],
  ['tok_silent', 4],
  ['tok_late', 5],
  ['tok_error', 4],
  // Never pays.
  [null, 3],
];
const SECOND_CARDS = ['tok_ok', 'tok_twice', 'tok_disorder', 'tok_hang'];
const CANCELLED_AT = ['before paying', 'while paying', 'after paying'] as const;

/** What one customer does; drawn beforehand, so that it does not depend on what others do. */
export interface Plan {
  readonly email: string;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  readonly token: string | null;
  /** After a card that was declined. */
  readonly secondToken: string | null;
  readonly actionIsDone: boolean;
  readonly cancels: (typeof CANCELLED_AT)[number] | null;
  readonly returns: boolean;
}

/** One customer's order, as far as it came. */
export interface PlacedOrder {
  readonly plan: Plan;
  readonly orderId: string;
  readonly number: string;
}

/** Draws what so many customers do. */
export function plansOf(seed: number, customers: number, skus: readonly string[]): Plan[] {
  const random = randomOf(seed);
  const chance = (share: number) => random() < share;
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  return Array.from({ length: customers }, (_, at): Plan => {
    const first = Math.floor(random() * skus.length);
    const lines = Array.from({ length: 1 + Math.floor(random() * 3) }, (_line, more) => ({
      sku: skus[(first + more) % skus.length] ?? '',
      quantity: 1 + Math.floor(random() * 3),
    }));
    return {
      email: `customer-${at}@example.com`,
      lines,
      token: drawn(random() * 100),
      secondToken: chance(0.7) ? pick(SECOND_CARDS) : null,
      actionIsDone: chance(0.7),
      cancels: chance(0.15) ? pick(CANCELLED_AT) : null,
      returns: chance(0.25),
    };
  });
}

function drawn(at: number): string | null {
  let sum = 0;
  for (const [token, weight] of CARDS) {
    sum += weight;
    if (at < sum) return token;
  }
  return null;
}

const FINAL = new Set(['DELIVERED', 'CANCELLED', 'RETURNED', 'PARTIALLY_RETURNED']);
/** After these a customer sends the command again. */
const PASSING = /^(no connection|UNAVAILABLE)/;
const PATIENCE_MS = 120_000;

export class CheckoutLoad {
  readonly acknowledged: Acknowledged[] = [];
  readonly placed: PlacedOrder[] = [];
  /** Everything that was answered with an outcome. */
  answers = 0;
  /** Commands that were sent again, since nobody answered. */
  resent = 0;
  /** Customers that are through with what they do. */
  done = 0;
  readonly #url: () => string;
  readonly #customers: Promise<unknown>;

  /** @param url where the server is now */
  constructor(url: () => string, plans: readonly Plan[], atOnce: number) {
    this.#url = url;
    const left = [...plans];
    const customer = async (): Promise<void> => {
      for (let plan = left.shift(); plan !== undefined; plan = left.shift()) {
        await this.#shop(plan);
        this.done += 1;
      }
    };
    this.#customers = Promise.all(Array.from({ length: atOnce }, customer));
    this.#customers.catch(() => {});
  }

  /** Waits until every customer is through. */
  async finish(): Promise<void> {
    await this.#customers;
  }

  async #shop(plan: Plan): Promise<void> {
    const newCartId = randomUUID();
    const cartId = encodeGlobalId('Cart', newCartId);
    await this.#run('createCart', { newCartId });
    for (const line of plan.lines) await this.#run('addItemToCart', { cartId, ...line });
    const shippingAddress = { name: 'Ada', street: '1 Row', city: 'London', postalCode: 'N1', country: 'UK' };
    const checkedOut = await this.#run('checkOutCart', { cartId, email: plan.email, shippingAddress });
    const { id: orderId, number } = orderOf(checkedOut, plan);
    this.placed.push({ plan, orderId, number });
    if (plan.cancels === 'before paying') return this.#cancel(orderId);
    if (plan.token === null) return;
    const paying = this.#pay(orderId, plan, plan.token);
    if (plan.cancels === 'while paying') await this.#cancel(orderId);
    await paying;
    if (plan.cancels === 'after paying') await this.#cancel(orderId);
    else if (plan.returns && plan.cancels === null) await this.#return(orderId);
  }

  async #pay(orderId: string, plan: Plan, token: string): Promise<void> {
    const paid = await this.#run('payOrder', { orderId, paymentToken: token });
    if (paid.__typename === 'OrderPayload') {
      const { payments } = orderOf(paid, plan);
      const url = payments.at(-1)?.nextAction?.url;
      if (url != null) await act(url, plan.actionIsDone);
      return;
    }
    const isExpected = paid.__typename === 'PaymentDeclined' || paid.__typename === 'IllegalState';
    if (!isExpected) throw new Error(`Nobody expects that: ${JSON.stringify(paid)}`);
    const mayPayAgain = paid.__typename === 'PaymentDeclined' && token === 'tok_decline';
    if (mayPayAgain && plan.secondToken !== null) await this.#pay(orderId, plan, plan.secondToken);
  }

  /** It may be too late for that. */
  async #cancel(orderId: string): Promise<void> {
    await this.#run('cancelOrder', { orderId, reason: 'I have changed my mind.' });
  }

  async #return(orderId: string): Promise<void> {
    const { status, lines } = await this.#final(orderId);
    const [line] = lines;
    if (status !== 'DELIVERED' || line === undefined) return;
    await this.#run('returnItems', { orderId, lines: [{ sku: line.sku, quantity: 1 }], reason: 'It is too small.' });
  }

  /** Waits until an order is at its end. */
  async #final(orderId: string): Promise<Order> {
    const query = `query ($id: ID!) { order(id: $id) { ${ORDER} } }`;
    for (const giveUpAt = Date.now() + PATIENCE_MS; Date.now() < giveUpAt; await delay(200)) {
      const { data } = shown.safeParse(await this.#post(query, { id: orderId }));
      if (data?.data.order && FINAL.has(data.data.order.status)) return data.data.order;
    }
    throw new Error(`The order ${orderId} never comes to its end.`);
  }

  /** Sends a command until it has its outcome. */
  async #run(field: Field, given: Readonly<Record<string, unknown>>): Promise<Answer> {
    const input = { commandId: randomUUID(), ...given };
    const giveUpAt = Date.now() + PATIENCE_MS;
    for (let sent = 1; ; sent += 1) {
      const told = await this.#post(MUTATIONS[field], { input });
      const { data } = answered.safeParse(told);
      if (data !== undefined && data.data.answer.__typename !== 'CommandAccepted') {
        this.answers += 1;
        const receiptOf: ToldReceipt | null | undefined = data.data.answer.receipt ?? data.data.answer.kept;
        if (receiptOf) this.acknowledged.push({ command: { field: 'createCart', input }, receipt: receiptOf, sent });
        return data.data.answer;
      }
      if (data === undefined) {
        const why = typeof told === 'string' ? told : (failed.safeParse(told).data?.errors[0]?.extensions.code ?? '');
        if (!PASSING.test(why)) throw new Error(`${field} was answered with ${JSON.stringify(told)}`);
        this.resent += 1;
      }
      if (Date.now() > giveUpAt) throw new Error(`${field} is never answered: ${JSON.stringify(told)}`);
      await delay(data === undefined ? 250 : 100);
    }
  }

  async #post(query: string, variables: Readonly<Record<string, unknown>>): Promise<unknown> {
    try {
      const response = await fetch(this.#url(), {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query, variables }),
      });
      return await response.json();
    } catch (error) {
      return `no connection: ${String(error)}`;
    }
  }
}

function orderOf({ order: found, ...rest }: Answer, plan: Plan): Order {
  if (found === undefined) throw new Error(`No order: ${JSON.stringify(rest)} for ${JSON.stringify(plan)}`);
  return found;
}

/** What a customer does on the page of their bank. It is there as long as the payment waits for it. */
async function act(url: string, isDone: boolean): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: `decision=${isDone ? 'complete' : 'decline'}`,
  });
  await response.arrayBuffer();
}
