import type { Json } from '../../src/eventsourcing/json.ts';
import { ORDER, type Order } from './order-views.ts';
import { CART, type Cart, type Input, PRODUCT, type Product, type Shop } from './shop.ts';

/** What clients ask of the past. */

export interface AsOf {
  readonly version?: number | null;
  readonly at?: string | null;
}

export interface FieldChange {
  readonly path: string;
  readonly from: Json;
  readonly to: Json;
}

/** A cart with the ids of all that is in it. */
export interface PastCart extends Cart {
  readonly lines: readonly (Cart['lines'][number] & { readonly id: string })[];
  readonly mergedInto: { readonly id: string; readonly itemCount: number } | null;
}

const PAST_CART = `${CART} lines { id } mergedInto { id itemCount }`;
export const QUERIES = {
  cartAsOf: `query CartAsOf($id: ID!, $asOf: AsOf!) { cartAsOf(id: $id, asOf: $asOf) { ${PAST_CART} } }`,
  orderAsOf: `query OrderAsOf($id: ID!, $asOf: AsOf!) { orderAsOf(id: $id, asOf: $asOf) { ${ORDER} } }`,
  productAsOf: `query ProductAsOf($sku: String!, $asOf: AsOf!) { productAsOf(sku: $sku, asOf: $asOf) { ${PRODUCT} } }`,
  diff: `query Diff($aggregateType: String!, $aggregateId: ID!, $from: AsOf!, $to: AsOf) {
    diff(aggregateType: $aggregateType, aggregateId: $aggregateId, from: $from, to: $to) { path from to } }`,
  node: `query Node($id: ID!) { node(id: $id) { id ... on Cart { ${PAST_CART} } } }`,
};

export async function cartAsOf(shop: Shop, id: string, asOf: AsOf): Promise<PastCart | null> {
  return (await shop.read<{ cartAsOf: PastCart | null }>(QUERIES.cartAsOf, { id, asOf })).cartAsOf;
}

export async function orderAsOf(shop: Shop, id: string, asOf: AsOf): Promise<Order | null> {
  return (await shop.read<{ orderAsOf: Order | null }>(QUERIES.orderAsOf, { id, asOf })).orderAsOf;
}

export async function productAsOf(shop: Shop, sku: string, asOf: AsOf): Promise<Product | null> {
  return (await shop.read<{ productAsOf: Product | null }>(QUERIES.productAsOf, { sku, asOf })).productAsOf;
}

export async function diff(shop: Shop, variables: Input): Promise<readonly FieldChange[]> {
  return (await shop.read<{ diff: readonly FieldChange[] }>(QUERIES.diff, variables)).diff;
}

/** What a question is refused with. */
export async function refusal(shop: Shop, query: string, variables: Input) {
  const { errors = [] } = await shop.ask(query, variables);
  return { code: errors[0]?.extensions?.code, message: errors[0]?.message ?? '' };
}
