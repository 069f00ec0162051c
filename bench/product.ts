import { randomUUID } from 'node:crypto';
import { type Address, sendAll } from './harness/http.ts';

// The product's public GraphQL API, as the bench speaks it. A request without a token is an admin's on loopback.

const MONEY = '{ amountMinor currency }';

/** The cart that is queried and watched; the bare server answers the same selection. */
export const CART_FIELDS =
  `{ id version status currency lines { sku name quantity unitPrice ${MONEY} lineTotal ${MONEY} } ` +
  `subtotal ${MONEY} total ${MONEY} }`;

export const CART_QUERY = `query Cart($id: ID!) { cart(id: $id) ${CART_FIELDS} }`;
export const CART_QUERY_SUCCESS = Buffer.from('{"data":{"cart":{"id":');

export const CART_CHANGED = `subscription Live($id: ID!) { cartChanged(id: $id) { position cart ${CART_FIELDS} events { eventId } } }`;
export const CHANGE_MARKER = '"eventId"';

const REJECTION = '... on Rejection { code message }';

const ADD_ITEM =
  'mutation Add($input: AddItemToCartInput!) { addItemToCart(input: $input) { __typename ' +
  '... on CartPayload { cart { id version itemCount total { amountMinor currency } } receipt { status version } } ' +
  `${REJECTION} } }`;
const CREATE_CART =
  'mutation Create($input: CreateCartInput) { createCart(input: $input) { __typename ' +
  `... on CartPayload { cart { id } } ${REJECTION} } }`;
const ADD_PRODUCT =
  'mutation AddProduct($input: AddProductInput!) { addProduct(input: $input) { __typename ' +
  `... on ProductPayload { product { sku } } ${REJECTION} } }`;

export const ADD_ITEM_SUCCESS = Buffer.from('"__typename":"CartPayload"');

/** More than any run can take. */
const ENDLESS_STOCK = 1_000_000_000;

export const PRODUCT_COUNT = 50;
export const skuOf = (index: number) => `BENCH-${index % PRODUCT_COUNT}`;

const ADD_ITEM_HEAD = `{"query":${JSON.stringify(ADD_ITEM)},"variables":{"input":{"commandId":"`;

/** As a request's JSON body. Put together by hand, for the load generator must stay cheap. */
export function addItem(cartId: string, sku: string): string {
  return `${ADD_ITEM_HEAD}${randomUUID()}","cartId":"${cartId}","sku":"${sku}","quantity":1}}}`;
}

const CART_QUERY_HEAD = `{"query":${JSON.stringify(CART_QUERY)},"variables":{"id":"`;

export function cartQuery(cartId: string): string {
  return `${CART_QUERY_HEAD}${cartId}"}}`;
}

export async function addProducts(address: Address): Promise<void> {
  const bodies = Array.from({ length: PRODUCT_COUNT }, (_, index) => {
    const price = { amountMinor: 100 + index, currency: 'GBP' };
    const input = { sku: skuOf(index), name: `Bench product ${index}`, price, stock: ENDLESS_STOCK };
    return JSON.stringify({ query: ADD_PRODUCT, variables: { input } });
  });
  await sendAllSuccessfully(address, bodies, '"__typename":"ProductPayload"');
}

/** @returns the carts' global ids */
export async function createCarts(address: Address, uuids: readonly string[]): Promise<string[]> {
  const bodies = uuids.map((newCartId) =>
    JSON.stringify({ query: CREATE_CART, variables: { input: { newCartId, currency: 'GBP' } } }),
  );
  const answers = await sendAllSuccessfully(address, bodies, '"__typename":"CartPayload"');
  return answers.map((answer) => /"cart":\{"id":"([^"]+)"/.exec(answer)?.[1] ?? '');
}

export async function addItems(address: Address, items: readonly { cartId: string; sku: string }[]): Promise<void> {
  const bodies = items.map(({ cartId, sku }) => addItem(cartId, sku));
  await sendAllSuccessfully(address, bodies, ADD_ITEM_SUCCESS.toString());
}

export function newUuids(count: number): string[] {
  return Array.from({ length: count }, () => randomUUID());
}

async function sendAllSuccessfully(address: Address, bodies: readonly string[], success: string): Promise<string[]> {
  const answers = await sendAll(address, bodies);
  for (const answer of answers) {
    if (!answer.includes(success) || answer.includes('"errors":')) throw new Error(`Unexpected answer: ${answer}`);
  }
  return answers;
}
