import { z } from 'zod';
import { type Ids, randomIds } from '../../platform/ids.ts';
import { Fault, type GraphQLClient, parseAnswer } from '../graphql-client.ts';
import { amount, money, type Rejected, receipt, rejected, rejection } from './answers.ts';
import type { Buyer } from './buyer.ts';

const ANSWER = `
      __typename
      ... on OrderPayload { order { id status total { amountMinor } } receipt { position } }
      ... on Rejection { code message }`;
const CHECK_OUT = /* GraphQL */ `
  mutation CheckOutCart($input: CheckOutCartInput!) {
    checkOutCart(input: $input) {${ANSWER}
    }
  }`;
const PAY = /* GraphQL */ `
  mutation PayOrder($input: PayOrderInput!) {
    payOrder(input: $input) {${ANSWER}
    }
  }`;
const READ_ORDER = /* GraphQL */ `
  query Order($id: ID!, $minPosition: Position) {
    order(id: $id, minPosition: $minPosition) {
      status
      total { amountMinor currency }
      lines { sku quantity unitPrice { amountMinor } lineTotal { amountMinor } }
      payments { status amount { amountMinor currency } refunded { amountMinor } }
    }
  }`;

const answer = z.union([
  z.object({
    __typename: z.literal('OrderPayload'),
    order: z.object({ id: z.string(), status: z.string(), total: amount }),
    receipt,
  }),
  z.object({ __typename: z.literal('CommandAccepted') }),
  rejection,
]);
const checkOutData = z.object({ checkOutCart: answer });
const payData = z.object({ payOrder: answer });
const orderData = z.object({
  order: z
    .object({
      status: z.string(),
      total: money,
      lines: z.array(z.object({ sku: z.string(), quantity: z.number(), unitPrice: amount, lineTotal: amount })),
      payments: z.array(z.object({ status: z.string(), amount: money, refunded: amount })),
    })
    .nullable(),
});

/** An order as it was read back; null: it is not there. */
export type ReadOrder = z.output<typeof orderData>['order'];
/** What a command did to an order. `position` is that of the newest event that is known of it. */
export type Ordered = Readonly<{
  outcome: 'ordered';
  orderId: string;
  status: string;
  totalMinor: number;
  position: string | null;
}>;

/**
 * The part of the public API that makes paid orders of carts. Each command has an id of its own: where it was accepted
 * and its process has not decided yet, the very same command is sent again, until it is answered with what was decided.
 */
export class OrderApi {
  readonly #client: GraphQLClient;
  readonly #ids: Ids;

  constructor(client: GraphQLClient, ids: Ids = randomIds) {
    this.#client = client;
    this.#ids = ids;
  }

  /** @throws {Fault} */
  checkOut(cartId: string, { email, address }: Buyer): Promise<Ordered | Rejected> {
    const input = { commandId: this.#ids.ordered(), cartId, email, shippingAddress: address };
    return this.#client.send(CHECK_OUT, { input }, (data) => decided(parseAnswer(checkOutData, data).checkOutCart));
  }

  /** @throws {Fault} */
  pay(orderId: string, paymentToken: string): Promise<Ordered | Rejected> {
    const input = { commandId: this.#ids.ordered(), orderId, paymentToken };
    return this.#client.send(PAY, { input }, (data) => decided(parseAnswer(payData, data).payOrder));
  }

  /** Reads an order that has at least reached this position, once its payment is no longer awaited. @throws {Fault} */
  readPaid(id: string, minPosition: string | null): Promise<ReadOrder> {
    return this.#client.send(READ_ORDER, { id, minPosition }, (data) => {
      const { order } = parseAnswer(orderData, data);
      if (order?.status === 'PLACED') throw new Fault('NOT_PAID', 'The order is not paid yet.', true);
      return order;
    });
  }
}

function decided(result: z.output<typeof answer>): Ordered | Rejected {
  if ('code' in result) return rejected(result);
  if (result.__typename === 'CommandAccepted') throw new Fault('NOT_DECIDED', 'It is not decided yet.', true);
  const { order } = result;
  return {
    outcome: 'ordered',
    orderId: order.id,
    status: order.status,
    totalMinor: order.total.amountMinor,
    position: result.receipt.position,
  };
}
