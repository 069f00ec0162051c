import WebSocket from 'ws';
import type { Context } from '../context.ts';
import { HttpConnection } from '../harness/http.ts';
import { alternate, Latencies, type Measurement, sharedNow } from '../harness/measuring.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { ADD_ITEM_SUCCESS, addItem, CART_CHANGED, createCarts, newUuids } from '../product.ts';
import { failureOf } from '../report.ts';
import { AppendProcess } from './append.ts';
import { addToCarts, newCart, type Product, skuForTurn } from './target.ts';

const CARTS = 100;

/** One client with nobody beside it: what a command costs above the one insert that nothing can do without. */
export async function aloneRow({ report, times }: Context, engine: EngineUnderTest, product: Product | undefined) {
  const reference = await AppendProcess.open('raw-insert', engine);
  try {
    const figures: Partial<Record<string, Measurement>> = await alternate<string>(
      { insert: (durationMs) => reference.measure(1, durationMs), ...(product ? await commandSeries(product) : {}) },
      times,
    );
    const { insert, command } = figures;
    report.add({
      name: 'alone',
      engine,
      unit: 'ms, p50',
      against: 'one raw insert through Prisma',
      goal: { atMost: 4 },
      ours: command?.p50,
      reference: insert?.p50,
      failure: command === undefined ? 'the server does not run' : failureOf(insert, command),
      details: figures,
    });
  } finally {
    await reference.close();
  }
}

async function commandSeries(product: Product) {
  const next = addToCarts(await createCarts(product.address, newUuids(CARTS)), 1);
  return {
    command: (durationMs: number) => product.drive({ connections: 1, durationMs, next, success: ADD_ITEM_SUCCESS }),
  };
}

/** From sending a mutation to its answer, and to the news of it at a subscriber: of the same mutations. */
export async function liveRow({ report, times }: Context, engine: EngineUnderTest, product: Product | undefined) {
  const figures = product && (await measureLive(product, times.roundMs));
  report.add({
    name: 'live',
    engine,
    unit: 'ms, p50',
    against: "the mutation's own answer",
    goal: { atMost: 1.5 },
    ours: figures?.live.percentile(50),
    reference: figures?.own.percentile(50),
    failure: figures === undefined ? 'the server does not run' : undefined,
    details: figures && {
      count: figures.own.count,
      live: { p50: figures.live.percentile(50), p99: figures.live.percentile(99) },
      own: { p50: figures.own.percentile(50), p99: figures.own.percentile(99) },
    },
  });
}

async function measureLive({ address }: Product, durationMs: number) {
  const cart = await newCart(address);
  const subscriber = await watch(`ws://${address.host}:${address.port}/graphql`, cart);
  const connection = await HttpConnection.open(address);
  const mutate = async (turn: number) => {
    const begun = sharedNow();
    const seen = subscriber.next();
    const answer = await connection.post(addItem(cart, skuForTurn(0, turn)));
    const answered = sharedNow();
    if (!answer.includes(ADD_ITEM_SUCCESS.toString())) throw new Error(`Unexpected answer: ${answer}`);
    return { own: answered - begun, live: (await seen) - begun };
  };
  try {
    for (let turn = 0; turn < 200; turn += 1) await mutate(turn);
    const own = new Latencies();
    const live = new Latencies();
    const end = sharedNow() + durationMs;
    for (let turn = 0; sharedNow() < end; turn += 1) {
      const taken = await mutate(turn);
      own.record(taken.own);
      live.record(taken.live);
    }
    return { own, live };
  } finally {
    connection.close();
    subscriber.close();
  }
}

/** A subscriber that tells when the next payload comes. */
async function watch(url: string, cartId: string) {
  const socket = new WebSocket(url, 'graphql-transport-ws', { perMessageDeflate: false });
  let arrived: (at: number) => void = () => {};
  let failed: (error: Error) => void = () => {};
  const next = () =>
    new Promise<number>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('No payload within 10 s')), 10_000);
      arrived = (at) => {
        clearTimeout(timer);
        resolve(at);
      };
      failed = reject;
    });
  socket.on('open', () => socket.send('{"type":"connection_init"}'));
  socket.on('error', (error) => failed(error));
  socket.on('message', (data) => {
    const at = sharedNow();
    const message = data.toString();
    if (message.includes('"type":"next"')) arrived(at);
    else if (message.includes('"type":"ping"')) socket.send('{"type":"pong"}');
    else if (message.includes('"type":"connection_ack"')) {
      const payload = { query: CART_CHANGED, variables: { id: cartId } };
      socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload }));
    } else failed(new Error(message));
  });
  await next();
  return { next, close: () => socket.terminate() };
}
