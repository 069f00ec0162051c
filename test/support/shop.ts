import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { buildSchema, getNamedType, isUnionType } from 'graphql';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { ORDER, type Order, PAYMENT, type Payment, SHIPMENT, type Shipment } from './order-views.ts';
import { type GraphQLAnswer, send } from './requests.ts';

export interface Receipt {
  readonly commandId: string;
  readonly correlationId: string;
  readonly status: string;
  readonly position: string | null;
  readonly version: number | null;
  readonly replayed: boolean;
}

export interface CartLine {
  readonly sku: string;
  readonly name: string;
  readonly quantity: number;
  readonly unitPrice: { readonly amountMinor: number };
  readonly lineTotal: { readonly amountMinor: number };
}

export interface Cart {
  readonly id: string;
  readonly version: number;
  readonly position: string;
  readonly status: string;
  readonly currency: string;
  readonly itemCount: number;
  readonly total: { readonly amountMinor: number; readonly currency: string };
  readonly discounts: readonly {
    readonly code: string;
    readonly label: string;
    readonly amount: { readonly amountMinor: number };
  }[];
  readonly lines: readonly CartLine[];
}

export interface Product {
  readonly id: string;
  readonly sku: string;
  readonly name: string;
  readonly active: boolean;
  readonly version: number;
  readonly available: number;
  readonly stockVersion: number;
  readonly price: { readonly amountMinor: number; readonly currency: string };
}

export interface Coupon {
  readonly code: string;
  readonly label: string;
  readonly percent: number | null;
  readonly amount: { readonly amountMinor: number; readonly currency: string } | null;
  readonly validFrom: string | null;
  readonly validTo: string | null;
  readonly maxUses: number | null;
  readonly uses: number;
}

export interface ShopEvent {
  readonly __typename: string;
  readonly type: string;
  readonly version: number;
  readonly position: string;
}

/** What a mutation ended with: the members that its type has. */
export interface Outcome {
  readonly __typename: string;
  readonly cart?: Cart;
  readonly product?: Product;
  readonly coupon?: Coupon;
  readonly order?: Order;
  readonly shipment?: Shipment;
  readonly payment?: Payment | null;
  readonly receipt?: Receipt | null;
  readonly code?: string;
  readonly message?: string;
  readonly fields?: readonly { readonly path: readonly string[]; readonly message: string }[];
  readonly id?: string | null;
  readonly commandId?: string;
  readonly state?: string;
  readonly reason?: string;
  readonly limit?: number;
  readonly expected?: string;
  readonly actual?: string;
  readonly sku?: string;
  readonly requested?: number;
  readonly available?: number;
  readonly expectedVersion?: number;
  readonly actualVersion?: number;
  readonly eventsSince?: readonly ShopEvent[];
}

export type Input = Readonly<Record<string, unknown>>;

const RECEIPT = '{ commandId correlationId status position version replayed }';
export const CART = `id version position status currency itemCount total { amountMinor currency }
  discounts { code label amount { amountMinor } }
  lines { sku name quantity unitPrice { amountMinor } lineTotal { amountMinor } }`;
export const PRODUCT = 'id sku name active version available stockVersion price { amountMinor currency }';
const COUPON = 'code label percent amount { amountMinor currency } validFrom validTo maxUses uses';
export const EVENT = '__typename type version position';

/** What is asked of each member of a result union; of the others, what every rejection has. */
const SELECTIONS: Readonly<Record<string, string>> = {
  CartPayload: `cart { ${CART} } receipt ${RECEIPT}`,
  ProductPayload: `product { ${PRODUCT} } receipt ${RECEIPT}`,
  CouponPayload: `coupon { ${COUPON} } receipt ${RECEIPT}`,
  OrderPayload: `order { ${ORDER} } receipt ${RECEIPT}`,
  ShipmentPayload: `shipment { ${SHIPMENT} } receipt ${RECEIPT}`,
  CommandAccepted: `receipt ${RECEIPT}`,
  ValidationFailed: 'fields { path message }',
  VersionConflict: `expectedVersion actualVersion eventsSince { ${EVENT} }`,
  CommandIdReused: 'commandId',
  NotFound: 'id',
  IllegalState: 'state',
  LimitExceeded: 'limit',
  CurrencyMismatch: 'expected actual',
  CouponInvalid: 'reason',
  PaymentDeclined: `reason payment { ${PAYMENT} }`,
  InsufficientStock: 'sku requested available',
};

const schema = buildSchema(readFileSync(new URL('../../schema.graphql', import.meta.url), 'utf8'));

/** A mutation that asks for everything that its result has. */
export function mutationOf(field: string): string {
  const mutation = schema.getMutationType()?.getFields()[field];
  const result = mutation && getNamedType(mutation.type);
  if (mutation === undefined || !isUnionType(result)) throw new Error(`There is no mutation ${field}.`);
  const parts = result.getTypes().map(({ name }) => {
    const selection = SELECTIONS[name];
    return selection === undefined ? '' : `... on ${name} { ${selection} }`;
  });
  return `mutation Change($input: ${mutation.args[0]?.type.toString()}) {
    ${field}(input: $input) { __typename ... on Rejection { code message kept: receipt ${RECEIPT} } ${parts.join(' ')} }
  }`;
}

/** A rejection's receipt may be null, others' not: so GraphQL wants another name for it. */
export type Mutated = Readonly<Record<string, Outcome & { readonly kept?: Receipt | null }>>;

/** What a mutation made by `mutationOf` was answered with. */
export function outcomeOf(field: string, data: Mutated): Outcome {
  const outcome = data[field];
  if (outcome === undefined) throw new Error(`${field} was not answered.`);
  const { kept, ...rest } = outcome;
  return kept === undefined ? rest : { ...rest, receipt: kept };
}

/** A client that says what a shop's front says. */
export class Shop {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;

  constructor(url: string, token?: string) {
    this.url = url;
    this.headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  ask<Data>(query: string, variables?: Input): Promise<GraphQLAnswer<Data>> {
    return send<Data, Input>(this.url, query, variables, this.headers);
  }

  /** Runs a query that must succeed. */
  async read<Data>(query: string, variables?: Input): Promise<Data> {
    const { data, errors } = await this.ask<Data>(query, variables);
    if (errors !== undefined || data === undefined || data === null) throw new Error(JSON.stringify(errors));
    return data;
  }

  /** Runs a mutation by its name. */
  async run(field: string, input: Input): Promise<Outcome> {
    return outcomeOf(field, await this.read<Mutated>(mutationOf(field), { input }));
  }

  addProduct(sku: string, { price = 100, currency = 'GBP', stock = 1_000_000, ...rest }: ProductOptions = {}) {
    const money = { amountMinor: price, currency };
    return this.run('addProduct', { sku, name: `Product ${sku}`, price: money, stock, ...rest });
  }

  /** @returns the id of a new, empty cart */
  async newCart(currency = 'GBP'): Promise<string> {
    const { cart } = await this.run('createCart', { currency });
    if (cart === undefined) throw new Error('No cart was created.');
    return cart.id;
  }

  addItem(cartId: string, sku: string, quantity = 1, rest: Input = {}): Promise<Outcome> {
    return this.run('addItemToCart', { cartId, sku, quantity, ...rest });
  }

  async cart(id: string, minPosition?: string | null): Promise<Cart | null> {
    const query = `query Cart($id: ID!, $minPosition: Position) { cart(id: $id, minPosition: $minPosition) { ${CART} } }`;
    return (await this.read<{ cart: Cart | null }>(query, { id, minPosition })).cart;
  }

  async product(sku: string): Promise<Product | null> {
    const query = `query Product($sku: String!) { product(sku: $sku) { ${PRODUCT} } }`;
    return (await this.read<{ product: Product | null }>(query, { sku })).product;
  }

  /** A coupon as staff see it. */
  async coupon(code: string): Promise<Coupon | null> {
    const query = `query Coupon($code: String!) { coupon(code: $code) { ${COUPON} } }`;
    return (await this.read<{ coupon: Coupon | null }>(query, { code })).coupon;
  }
}

interface ProductOptions {
  readonly price?: number;
  readonly currency?: string;
  readonly stock?: number;
  readonly commandId?: string;
}

/** The id of a cart that nobody created. */
export function unknownCartId(): string {
  return encodeGlobalId('Cart', randomUUID());
}
