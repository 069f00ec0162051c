import { type Address, drive, type Load } from '../harness/http.ts';
import type { Measurement } from '../harness/measuring.ts';
import { Remote } from '../harness/remote.ts';
import { type Server, startServer } from '../harness/server.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { addItem, addProducts, createCarts, newUuids, skuOf } from '../product.ts';
import type { YogaMethods } from '../references/yoga.ts';

/** The bare server, in a process of its own. */
export interface BareServer {
  address: Address;
  pid: number;
  stop(): Promise<void>;
}

export async function startBare(): Promise<BareServer> {
  const remote = new Remote<YogaMethods>('yoga');
  const port = await remote.call('listen', undefined);
  return { address: { host: '127.0.0.1', port }, pid: remote.child.pid ?? 0, stop: () => remote.stop() };
}

/** The product's server on a fresh store, with the bench's products in it. */
export interface Product extends Server {
  engine: EngineUnderTest;
  drive(load: Load): Promise<Measurement>;
}

/** @param environment what the server is told beside the house's settings */
export async function startProduct(
  engine: EngineUnderTest,
  environment: Record<string, string> = {},
): Promise<Product> {
  const store = await engine.createStore();
  try {
    const server = await startServer(store, environment);
    const stop = async () => {
      await server.stop();
      await store.remove();
    };
    try {
      await addProducts(server.address);
    } catch (error) {
      await stop();
      throw error;
    }
    return { ...server, engine, drive: (load) => drive(server.address, load), stop };
  } catch (error) {
    await store.remove();
    throw error;
  }
}

/** How many skus one cart sees: so no cart grows large, and no line reaches its limit. */
const SKUS_PER_CART = 10;

export const skuForTurn = (cart: number, turn: number) => skuOf(cart + 5 * (turn % SKUS_PER_CART));

/** Requests that add to many carts, each of which belongs to one connection. */
export function addToCarts(cartIds: readonly string[], connections: number): (connection: number) => string {
  const perConnection = Math.floor(cartIds.length / connections);
  const turns = new Array<number>(connections).fill(0);
  return (connection) => {
    const turn = turns[connection] ?? 0;
    turns[connection] = turn + 1;
    const cart = connection + connections * (turn % perConnection);
    return addItem(cartIds[cart] ?? '', skuForTurn(cart, Math.floor(turn / perConnection)));
  };
}

export async function newCart(address: Address): Promise<string> {
  const [id] = await createCarts(address, newUuids(1));
  if (id === undefined) throw new Error('No cart was made');
  return id;
}
