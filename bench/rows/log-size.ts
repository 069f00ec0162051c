import type { Context } from '../context.ts';
import { copiedCartId } from '../copied-cart.ts';
import { createFilledStore, EVENTS_PER_CART } from '../filled-store.ts';
import { type Address, drive } from '../harness/http.ts';
import { alternate } from '../harness/measuring.ts';
import { type Server, startServer } from '../harness/server.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { ADD_ITEM_SUCCESS, addItem, CART_QUERY_SUCCESS, cartQuery } from '../product.ts';
import { failureOf } from '../report.ts';
import { skuForTurn } from './target.ts';

const SMALL = 10_000;
/** As many carts are visited in the small log as in the large one, spread over the whole log: only its size differs. */
const VISITED = SMALL / EVENTS_PER_CART;

/** The same work on a short log and on a long one. */
export async function logSizeRows({ report, times }: Context, engine: EngineUnderTest): Promise<void> {
  const open: FilledServer[] = [];
  try {
    const small = await startFilled(engine, SMALL);
    open.push(small);
    const large = await startFilled(engine, times.longLog);
    open.push(large);
    const figures = await alternate(
      {
        smallCommand: series(small, addItem, ADD_ITEM_SUCCESS),
        largeCommand: series(large, addItem, ADD_ITEM_SUCCESS),
        smallQuery: series(small, cartQuery, CART_QUERY_SUCCESS),
        largeQuery: series(large, cartQuery, CART_QUERY_SUCCESS),
      },
      { ...times, roundMs: times.roundMs / 2 },
    );
    const against = `${SMALL.toLocaleString('en')} events in the log instead of ${times.longLog.toLocaleString('en')}`;
    const common = { engine, unit: 'ms, p50', against, goal: { atMost: 1.3 }, details: figures };
    report.add({
      ...common,
      name: 'log-size-command',
      ours: figures.largeCommand.p50,
      reference: figures.smallCommand.p50,
      failure: failureOf(figures.smallCommand, figures.largeCommand),
    });
    report.add({
      ...common,
      name: 'log-size-query',
      ours: figures.largeQuery.p50,
      reference: figures.smallQuery.p50,
      failure: failureOf(figures.smallQuery, figures.largeQuery),
    });
  } finally {
    for (const server of open) await server.close();
  }
}

interface FilledServer {
  address: Address;
  carts: string[];
  close(): Promise<void>;
}

function series({ address, carts }: FilledServer, body: (cartId: string, sku: string) => string, success: Buffer) {
  let turn = 0;
  const next = () => {
    turn += 1;
    return body(carts[turn % carts.length] ?? '', skuForTurn(0, Math.floor(turn / carts.length)));
  };
  return (durationMs: number) => drive(address, { connections: 1, durationMs, next, success });
}

async function startFilled(engine: EngineUnderTest, events: number): Promise<FilledServer> {
  const { store, template, globalId, copies } = await createFilledStore(engine, events);
  let server: Server | undefined;
  const close = async () => {
    await server?.stop();
    await store.remove();
  };
  try {
    server = await startServer(store);
    const carts = Array.from({ length: VISITED }, (_, index) =>
      globalIdLike(globalId, template, copiedCartId(1 + Math.floor((index * copies) / VISITED))),
    );
    return { address: server.address, carts, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The global id of another cart, whatever the scheme: with its uuid as it is, or in base64. */
function globalIdLike(example: string, uuid: string, other: string): string {
  if (example.includes(uuid)) return example.replace(uuid, other);
  for (const encoding of ['base64', 'base64url'] as const) {
    const text = Buffer.from(example, encoding).toString();
    const isThis = Buffer.from(text).toString(encoding) === example;
    if (isThis && text.includes(uuid)) return Buffer.from(text.replace(uuid, other)).toString(encoding);
  }
  throw new Error(`A cart's global id does not hold its uuid: ${example}`);
}
