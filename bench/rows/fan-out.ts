import type { Context } from '../context.ts';
import { type Address, HttpConnection } from '../harness/http.ts';
import { sharedNow } from '../harness/measuring.ts';
import { cpuSeconds } from '../harness/processes.ts';
import { Remote } from '../harness/remote.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { ADD_ITEM_SUCCESS, addItem, addItems, CART_CHANGED, CART_FIELDS, CHANGE_MARKER } from '../product.ts';
import type { SubscriberMethods } from '../workers/subscribers.ts';
import { newCart, type Product, skuForTurn, startBare } from './target.ts';

const SUBSCRIBERS = 1000;
const CHANGES_PER_SECOND = 20;
const WARM_UP_CHANGES = 2 * CHANGES_PER_SECOND;
const LINES = 6;
/** How long after the last change deliveries may still come. */
const PATIENCE_MS = 15_000;

interface Target {
  address: Address;
  pid: number;
  query: string;
  cartId: string;
  changeMarker?: string;
  opensWithPayload: boolean;
  /** The body of a request that changes the cart. */
  change(turn: number): string;
  success: Buffer;
}

export interface FanOut {
  changes: number;
  /** Payloads received while changes were being made, in a second. */
  perSecond: number;
  /** Payloads received for each second of CPU that the server used. */
  perCpuSecond: number | undefined;
  cpuSeconds: number | undefined;
  /** Of the changes, the part that arrived, all subscribers together. */
  delivered: number;
  /** How many payloads brought them. */
  messages: number;
  p50: number;
  p99: number;
}

let reference: Promise<FanOut> | undefined;

export async function fanOutRows({ report, times }: Context, engine: EngineUnderTest, product: Product | undefined) {
  reference ??= measureBare(times.fanOutMs);
  const bare = await reference;
  const ours = product && (await measureProduct(product, times.fanOutMs));
  const failure = ours === undefined ? 'the server does not run' : undefined;
  const common = { engine, against: 'Yoga and graphql-ws executing per subscriber', details: { ours, bare } };
  report.add({
    ...common,
    name: 'fan-out',
    unit: 'deliveries per CPU second',
    goal: { atLeast: 3 },
    ours: ours?.perCpuSecond,
    reference: bare.perCpuSecond,
    failure,
  });
  report.add({
    ...common,
    name: 'fan-out-delivered',
    unit: 'part of all changes',
    against: 'all of them',
    goal: { atLeast: 1 },
    ours: ours?.delivered,
    reference: 1,
    failure,
  });
}

async function measureBare(durationMs: number): Promise<FanOut> {
  const bare = await startBare();
  const change = (turn: number) =>
    JSON.stringify({ query: `mutation Change { change(sku: "BENCH-${turn % LINES}") { ok version } }` });
  try {
    return await measure(
      {
        ...bare,
        cartId: 'live',
        query: `subscription Live($id: ID!) { cartChanged(id: $id) { position cart ${CART_FIELDS} } }`,
        opensWithPayload: false,
        change,
        success: Buffer.from('"ok":true'),
      },
      durationMs,
    );
  } finally {
    await bare.stop();
  }
}

async function measureProduct(product: Product, durationMs: number): Promise<FanOut> {
  const cartId = await newCart(product.address);
  for (let line = 0; line < LINES; line += 1) await addItems(product.address, [{ cartId, sku: skuForTurn(0, line) }]);
  return measure(
    {
      ...product,
      cartId,
      query: CART_CHANGED,
      changeMarker: CHANGE_MARKER,
      opensWithPayload: true,
      change: (turn) => addItem(cartId, skuForTurn(0, turn % LINES)),
      success: ADD_ITEM_SUCCESS,
    },
    durationMs,
  );
}

async function measure(target: Target, durationMs: number): Promise<FanOut> {
  const { address, cartId, pid, query, changeMarker, opensWithPayload } = target;
  const subscribers = new Remote<SubscriberMethods>('subscribers');
  try {
    await subscribers.call('connect', {
      url: `ws://${address.host}:${address.port}/graphql`,
      count: SUBSCRIBERS,
      query,
      variables: { id: cartId },
      opensWithPayload,
      ...(changeMarker === undefined ? {} : { changeMarker }),
    });
    // Where nothing tells that a subscription has begun.
    if (!opensWithPayload) await new Promise((resolve) => setTimeout(resolve, 500));
    await makeChanges(target, WARM_UP_CHANGES);
    await allArrived(subscribers, WARM_UP_CHANGES);
    await subscribers.call('reset', undefined);

    const changes = Math.round((durationMs / 1000) * CHANGES_PER_SECOND);
    const cpuBefore = cpuSeconds(pid);
    const begun = await makeChanges(target, changes);
    const until = (begun[0] ?? 0) + durationMs;
    const received = await allArrived(subscribers, changes);
    const cpuAfter = cpuSeconds(pid);
    const cpu = cpuBefore === undefined || cpuAfter === undefined ? undefined : cpuAfter - cpuBefore;
    const { inTime, p50, p99 } = await subscribers.call('latencies', { begun, until });
    await subscribers.call('disconnect', undefined);
    return {
      changes,
      perSecond: inTime / (durationMs / 1000),
      perCpuSecond: cpu && received.messages / cpu,
      cpuSeconds: cpu,
      delivered: received.changes / (changes * SUBSCRIBERS),
      messages: received.messages,
      p50,
      p99,
    };
  } finally {
    await subscribers.stop();
  }
}

/** Makes changes at their times, however long each takes. @returns when each was begun */
async function makeChanges({ address, change: bodyOf, success }: Target, count: number): Promise<number[]> {
  const idle: HttpConnection[] = [];
  const begun: number[] = [];
  const start = sharedNow();
  const inFlight: Promise<void>[] = [];
  const one = async (turn: number) => {
    const connection = idle.pop() ?? (await HttpConnection.open(address));
    begun[turn] = sharedNow();
    const answer = await connection.post(bodyOf(turn));
    if (!answer.includes(success.toString())) throw new Error(`Unexpected answer: ${answer}`);
    idle.push(connection);
  };
  for (let turn = 0; turn < count; turn += 1) {
    const wait = start + (turn * 1000) / CHANGES_PER_SECOND - sharedNow();
    if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
    const change = one(turn);
    // Its failure is heard below, after the last one was sent.
    change.catch(() => {});
    inFlight.push(change);
  }
  await Promise.all(inFlight);
  for (const connection of idle) connection.close();
  return begun;
}

async function allArrived(subscribers: Remote<SubscriberMethods>, changes: number) {
  const deadline = sharedNow() + PATIENCE_MS;
  for (;;) {
    const received = await subscribers.call('received', undefined);
    if (received.bad.length > 0) throw new Error(`A subscriber was told: ${received.bad[0]}`);
    if (received.fewest >= changes || sharedNow() > deadline) return received;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
