import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Address, HttpConnection } from './harness/http.ts';
import { addItems, createCarts, newUuids, skuOf } from './product.ts';

// Carts that become paid orders, as the bench orders them through the product's GraphQL API.

const LINES_PER_CART = 2;
/** How long a server may take to come to the end of what it does about orders. */
const PATIENCE_MS = 60_000;

const ANSWER = '__typename ... on OrderPayload { order { id status } } ... on Rejection { code message }';
const CHECK_OUT = `mutation CheckOut($input: CheckOutCartInput!) { checkOutCart(input: $input) { ${ANSWER} } }`;
const PAY = `mutation Pay($input: PayOrderInput!) { payOrder(input: $input) { ${ANSWER} } }`;
const ORDER = 'query Order($id: ID!) { order(id: $id) { status } }';
/** What the shop still does when an order is paid. Timers are commands, too, but lie in wait for another day. */
const LATER_COMMANDS = [
  'CompleteCartCheckOut',
  'RecordCustomer',
  'RequestShipment',
  'RegisterShipment',
  'NoteOrderPreparation',
  'SendNotification',
  'SendMail',
];
const OPEN_WORK =
  'query OpenWork($name: [String!]) { orders(first: 1, status: [PLACED, PAID]) { nodes { id } } ' +
  'commands(first: 1, filter: { status: [QUEUED, RUNNING], name: $name }) { nodes { name status attempts } } }';
const NOTHING_OPEN = '{"data":{"orders":{"nodes":[]},"commands":{"nodes":[]}}}';
const COUNTS =
  'query Counts { all: orders(first: 1) { totalCount } lost: orders(first: 1, status: [CANCELLED]) { totalCount } }';

const ADDRESS = {
  name: 'A customer',
  street: '1 High Street',
  city: 'Example Town',
  postalCode: 'EX1 1AA',
  country: 'UK',
};

/** @returns the global ids of new carts with a few lines each, ready to be checked out */
export async function filledCarts(address: Address, count: number): Promise<string[]> {
  const carts = await createCarts(address, newUuids(count));
  for (let line = 0; line < LINES_PER_CART; line += 1) {
    await addItems(
      address,
      carts.map((cartId, index) => ({ cartId, sku: skuOf(index + line) })),
    );
  }
  return carts;
}

/** @returns the order's global id, once it is placed */
export async function checkOut(connection: HttpConnection, cartId: string): Promise<string> {
  const input = { commandId: randomUUID(), cartId, email: 'customer@example.com', shippingAddress: ADDRESS };
  const answer = await decided(connection, JSON.stringify({ query: CHECK_OUT, variables: { input } }));
  const [, orderId] = /"order":\{"id":"([^"]+)","status":"PLACED"\}/.exec(answer) ?? [];
  if (orderId === undefined) throw new Error(`Not placed: ${answer}`);
  return orderId;
}

/** Resolves once the order is paid. */
export async function pay(connection: HttpConnection, orderId: string): Promise<void> {
  const input = { commandId: randomUUID(), orderId, paymentToken: 'tok_ok' };
  const answer = await decided(connection, JSON.stringify({ query: PAY, variables: { input } }));
  // It may have come further meanwhile.
  if (!/"status":"(PAID|PREPARING)"/.test(answer)) throw new Error(`Not paid: ${answer}`);
}

/** The answer to a command that a process decides on; until it has, the very same command is sent again. */
async function decided(connection: HttpConnection, body: string): Promise<string> {
  for (const giveUpAt = Date.now() + PATIENCE_MS; Date.now() < giveUpAt; ) {
    const answer = await connection.post(body);
    if (answer.includes('"errors":')) throw new Error(`Unexpected answer: ${answer}`);
    if (!answer.includes('"__typename":"CommandAccepted"')) return answer;
  }
  throw new Error('A command is never decided');
}

/** Waits until the goods of an order are prepared: that is the end, where the carrier moves nothing. */
export async function untilPrepared(connection: HttpConnection, id: string): Promise<void> {
  const body = JSON.stringify({ query: ORDER, variables: { id } });
  await until(connection, body, (answer) => answer.includes('"status":"PREPARING"'));
}

/** Waits until nothing is left to do about any order. */
export async function untilIdle(address: Address): Promise<void> {
  const connection = await HttpConnection.open(address);
  let idle = 0;
  // Between an event and the command that a process sends in answer there is a moment with nothing to be seen.
  await until(connection, JSON.stringify({ query: OPEN_WORK, variables: { name: LATER_COMMANDS } }), (answer) => {
    idle = answer === NOTHING_OPEN ? idle + 1 : 0;
    return idle >= 5;
  });
  connection.close();
}

/** How many orders there are, and how many of them were cancelled. */
export async function countOrders(address: Address): Promise<{ all: number; lost: number }> {
  const connection = await HttpConnection.open(address);
  const answer = await connection.post(JSON.stringify({ query: COUNTS }));
  connection.close();
  const [, all, lost] = /"all":\{"totalCount":(\d+)\},"lost":\{"totalCount":(\d+)\}/.exec(answer) ?? [];
  if (all === undefined || lost === undefined) throw new Error(`Unexpected answer: ${answer}`);
  return { all: Number(all), lost: Number(lost) };
}

async function until(connection: HttpConnection, body: string, isThere: (answer: string) => boolean): Promise<void> {
  let answer = '';
  for (const giveUpAt = Date.now() + PATIENCE_MS; Date.now() < giveUpAt; await delay(20)) {
    answer = await connection.post(body);
    if (isThere(answer)) return;
  }
  throw new Error(`It never comes to that: ${body} is answered with ${answer}`);
}
