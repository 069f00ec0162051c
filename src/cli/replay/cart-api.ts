import { z } from 'zod';
import { type Ids, randomIds } from '../../platform/ids.ts';
import { Fault, type GraphQLClient, parseAnswer } from '../graphql-client.ts';
import { amount, money, type Rejected, receipt, rejected, rejection } from './answers.ts';

const CREATE_CART = /* GraphQL */ `
  mutation CreateCart($input: CreateCartInput!) {
    createCart(input: $input) {
      __typename
      ... on CartPayload { cart { id } receipt { position } }
      ... on CommandAccepted { receipt { position } }
      ... on Rejection { code message }
    }
  }`;
const ADD_ITEM = /* GraphQL */ `
  mutation AddItemToCart($input: AddItemToCartInput!) {
    addItemToCart(input: $input) {
      __typename
      ... on CartPayload { receipt { position } }
      ... on CommandAccepted { receipt { position } }
      ... on Rejection { code message }
      ... on NotFound { id }
      ... on ValidationFailed { fields { path } }
    }
  }`;
const READ_CART = /* GraphQL */ `
  query Cart($id: ID!, $minPosition: Position) {
    cart(id: $id, minPosition: $minPosition) {
      itemCount
      total { amountMinor currency }
      lines { sku quantity unitPrice { amountMinor } lineTotal { amountMinor } }
    }
  }`;

const createCartData = z.object({
  createCart: z.union([
    z.object({ __typename: z.literal('CartPayload'), cart: z.object({ id: z.string() }), receipt }),
    z.object({ __typename: z.literal('CommandAccepted') }),
    rejection,
  ]),
});
const addItemData = z.object({
  addItemToCart: z.union([z.object({ __typename: z.enum(['CartPayload', 'CommandAccepted']), receipt }), rejection]),
});
const cartData = z.object({
  cart: z
    .object({
      itemCount: z.number(),
      total: money,
      lines: z.array(z.object({ sku: z.string(), quantity: z.number(), unitPrice: amount, lineTotal: amount })),
    })
    .nullable(),
});

/** A cart as it was read back; null: it is not there. */
export type ReadCart = z.output<typeof cartData>['cart'];
/** `position` is that of the newest event that is known of the cart. */
export type Created = Readonly<{ outcome: 'created'; cartId: string; position: string | null }>;
export type Added = Readonly<{ outcome: 'added'; position: string | null }>;

/** The part of the public API that a replay needs. Each command has an id of its own, kept when it is sent again. */
export class CartApi {
  readonly #client: GraphQLClient;
  readonly #ids: Ids;

  constructor(client: GraphQLClient, ids: Ids = randomIds) {
    this.#client = client;
    this.#ids = ids;
  }

  /** @throws {Fault} */
  createCart(currency: string): Promise<Created | Rejected> {
    const input = { commandId: this.#ids.ordered(), currency };
    return this.#client.send(CREATE_CART, { input }, (data) => {
      const { createCart: result } = parseAnswer(createCartData, data);
      if ('code' in result) return rejected(result);
      // Sent again, the command is answered with the cart as soon as it can be shown.
      if (result.__typename === 'CommandAccepted')
        throw new Fault('CART_NOT_SHOWN', 'The cart is not shown yet.', true);
      return { outcome: 'created', cartId: result.cart.id, position: result.receipt.position };
    });
  }

  /** @throws {Fault} */
  addItem(cartId: string, sku: string, quantity: number): Promise<Added | Rejected> {
    const input = { commandId: this.#ids.ordered(), cartId, sku, quantity };
    return this.#client.send(ADD_ITEM, { input }, (data) => {
      const { addItemToCart: result } = parseAnswer(addItemData, data);
      if (!('code' in result)) return { outcome: 'added', position: result.receipt.position };
      const isUnknown = result.__typename === 'NotFound' && result.id === sku;
      const problems = result.fields ?? [];
      const cannotBeSku = problems.length > 0 && problems.every(({ path }) => path.join('.') === 'sku');
      return rejected(result, isUnknown || cannotBeSku);
    });
  }

  /** Reads a cart that has at least reached this position. @throws {Fault} */
  readCart(id: string, minPosition: string | null): Promise<ReadCart> {
    return this.#client.send(READ_CART, { id, minPosition }, (data) => parseAnswer(cartData, data).cart);
  }
}
