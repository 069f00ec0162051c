import type { Context } from '../context.ts';
import { copiedCartId } from '../copied-cart.ts';
import { type Address, drive } from '../harness/http.ts';
import { alternate } from '../harness/measuring.ts';
import { Remote } from '../harness/remote.ts';
import { type Server, startServer } from '../harness/server.ts';
import type { EngineUnderTest, Store } from '../harness/store.ts';
import {
  ADD_ITEM_SUCCESS,
  addItem,
  addItems,
  addProducts,
  CART_QUERY_SUCCESS,
  cartQuery,
  createCarts,
  newUuids,
} from '../product.ts';
import { failureOf, progress } from '../report.ts';
import type { FillMethods } from '../workers/fill.ts';
import { skuForTurn } from './target.ts';

const SMALL = 10_000;
const EVENTS_PER_CART = 10;
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
  const store = await engine.createStore();
  let server: Server | undefined;
  const close = async () => {
    await server?.stop();
    await store.remove();
  };
  try {
    const [template] = newUuids(1);
    if (template === undefined) throw new Error('No id');
    server = await startServer(store);
    const globalId = await makeTemplate(server.address, template);
    await server.stop();
    const copies = events / EVENTS_PER_CART;
    await fill(store, template, copies);
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

/** A cart of ten events: one creation, nine additions. @returns its global id */
async function makeTemplate(address: Address, uuid: string): Promise<string> {
  await addProducts(address);
  const [cartId] = await createCarts(address, [uuid]);
  if (cartId === undefined) throw new Error('No cart was made');
  for (let turn = 1; turn < EVENTS_PER_CART; turn += 1) await addItems(address, [{ cartId, sku: skuForTurn(0, turn) }]);
  return cartId;
}

async function fill(store: Store, template: string, copies: number): Promise<void> {
  const remote = new Remote<FillMethods>('fill');
  const begun = Date.now();
  try {
    const events = await remote.call('fill', { settings: store.settings, template, copies });
    progress(
      `  filled a log of ${events.toLocaleString('en')} events in ${((Date.now() - begun) / 1000).toFixed(1)} s`,
    );
  } finally {
    await remote.stop();
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
