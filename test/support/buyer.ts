import type { Client } from 'graphql-ws';
import { expect } from 'vitest';
import { eventually, Operator, type Page } from './operator.ts';
import {
  CUSTOMER,
  type Customer,
  NOTIFICATION,
  type Notification,
  ORDER,
  type Order,
  PAYMENT,
  type Payment,
  SHIPMENT,
  type Shipment,
} from './order-views.ts';
import { EVENT, type Input, type Outcome, type ShopEvent } from './shop.ts';
import { type Watching, watch } from './sockets.ts';

export const EMAIL = 'ada@example.com';
export const ADDRESS = { name: 'Ada', street: '1 Row', city: 'London', postalCode: 'N1', country: 'UK' };

/** The status of an order as a payment is answered: its shipment may have begun before the answer was read. */
export const PAID_BY_NOW: unknown = expect.stringMatching(/^(PAID|PREPARING|SHIPPED|DELIVERED)$/);

export interface OrderEvent extends ShopEvent {
  readonly aggregateType: string;
}

export interface OrderChanged {
  readonly orderChanged: {
    readonly position: string;
    readonly order: Order;
    readonly events: readonly OrderEvent[];
  };
}

const ORDER_CHANGED = `subscription Watch($id: ID!, $after: Position) {
  orderChanged(id: $id, after: $after) { position order { ${ORDER} } events { ${EVENT} aggregateType } } }`;
const PAGE = 'totalCount edges { cursor } pageInfo { hasNextPage hasPreviousPage startCursor endCursor }';
const ORDERS = `query Orders($first: Int, $after: String, $last: Int, $before: String, $status: [OrderStatus!]) {
  orders(first: $first, after: $after, last: $last, before: $before, status: $status) { nodes { id status } ${PAGE} } }`;
const NOTIFICATIONS = `query Notifications($orderId: ID, $first: Int, $after: String) {
  notifications(orderId: $orderId, first: $first, after: $after) { nodes { ${NOTIFICATION} } ${PAGE} } }`;

/** How many pieces of what. */
export type Pieces = Readonly<Record<string, number>>;

/** Somebody who fills carts, checks out and pays; whose orders are checked with what they are shown. */
export class Buyer extends Operator {
  async cartWith(pieces: Pieces, currency = 'GBP'): Promise<string> {
    const cartId = await this.newCart(currency);
    for (const [sku, quantity] of Object.entries(pieces)) {
      expect((await this.addItem(cartId, sku, quantity)).__typename).toBe('CartPayload');
    }
    return cartId;
  }

  checkOut(cartId: string, rest: Input = {}): Promise<Outcome> {
    return this.run('checkOutCart', { cartId, email: EMAIL, shippingAddress: ADDRESS, ...rest });
  }

  /** An order of so many pieces that awaits its payment. */
  async placed(pieces: Pieces): Promise<Order> {
    return orderOf(await this.checkOut(await this.cartWith(pieces)));
  }

  pay(orderId: string, paymentToken = 'tok_ok', rest: Input = {}): Promise<Outcome> {
    return this.run('payOrder', { orderId, paymentToken, ...rest });
  }

  /** An order of so many pieces that is paid, and that the carrier knows of. */
  async prepared(pieces: Pieces, paymentToken?: string): Promise<Order> {
    const { id } = await this.placed(pieces);
    expect(await this.pay(id, paymentToken)).toMatchObject({ __typename: 'OrderPayload' });
    return this.untilOrder(id, { status: 'PREPARING', shipments: [{ status: 'PREPARED' }] });
  }

  cancel(orderId: string, rest: Input = {}): Promise<Outcome> {
    return this.run('cancelOrder', { orderId, reason: 'changed my mind', ...rest });
  }

  returnItems(orderId: string, pieces: Pieces, rest: Input = {}): Promise<Outcome> {
    const lines = Object.entries(pieces).map(([sku, quantity]) => ({ sku, quantity }));
    return this.run('returnItems', { orderId, lines, reason: 'too small', ...rest });
  }

  async order(id: string): Promise<Order | null> {
    return (await this.read<{ order: Order | null }>(`query Order($id: ID!) { order(id: $id) { ${ORDER} } }`, { id }))
      .order;
  }

  /** Waits until an order looks so. */
  untilOrder(id: string, look: object): Promise<Order> {
    return eventually(async () => {
      const order = await this.order(id);
      if (order === null) throw new Error(`There is no order ${id}.`);
      expect(order).toMatchObject(look);
      return order;
    });
  }

  async orders(variables: Input = {}): Promise<Page<Pick<Order, 'id' | 'status'>>> {
    return (await this.read<{ orders: Page<Pick<Order, 'id' | 'status'>> }>(ORDERS, variables)).orders;
  }

  async notifications(variables: Input = {}): Promise<Page<Notification>> {
    return (await this.read<{ notifications: Page<Notification> }>(NOTIFICATIONS, variables)).notifications;
  }

  /** What the buyer of an order was told, oldest first. */
  async told(orderId: string): Promise<readonly Notification[]> {
    return [...(await this.notifications({ orderId })).nodes].reverse();
  }

  async viewer(): Promise<Customer | null> {
    return (await this.read<{ viewer: Customer | null }>(`{ viewer { ${CUSTOMER} } }`)).viewer;
  }

  payment(id: string): Promise<Payment | null> {
    return this.node<Payment>(id, `... on Payment { ${PAYMENT} }`);
  }

  shipment(id: string): Promise<Shipment | null> {
    return this.node<Shipment>(id, `... on Shipment { ${SHIPMENT} }`);
  }

  /** How many pieces of a product can be had. */
  async available(sku: string): Promise<number | undefined> {
    return (await this.product(sku))?.available;
  }
}

export function watchOrder(client: Client, id: string, after?: string | null): Watching<OrderChanged> {
  return watch<OrderChanged>(client, { query: ORDER_CHANGED, variables: { id, after } });
}

/** The changes that were seen so far. */
export function changesIn({ results }: Watching<OrderChanged>): OrderChanged['orderChanged'][] {
  return results.flatMap(({ data }) => data?.orderChanged ?? []);
}

/** The order that a command must have ended with. */
export function orderOf(outcome: Outcome): Order {
  const { order } = outcome;
  if (order === undefined) throw new Error(`There is no order: ${JSON.stringify(outcome)}`);
  return order;
}

/** The only one of something. */
export function onlyOne<Item>(items: readonly Item[]): Item {
  const [item] = items;
  if (item === undefined || items.length > 1) throw new Error(`There are ${items.length}, not one.`);
  return item;
}
