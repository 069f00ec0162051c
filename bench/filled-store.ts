import type { Address } from './harness/http.ts';
import { Remote } from './harness/remote.ts';
import { startServer } from './harness/server.ts';
import type { EngineUnderTest, Store } from './harness/store.ts';
import { addItems, addProducts, createCarts, newUuids } from './product.ts';
import { progress } from './report.ts';
import { skuForTurn } from './rows/target.ts';
import type { FillMethods } from './workers/fill.ts';

export const EVENTS_PER_CART = 10;

/** A store whose log is one real cart, copied. No server runs on it. */
export interface FilledStore {
  readonly store: Store;
  /** The raw and the global id of the cart that was copied. */
  readonly template: string;
  readonly globalId: string;
  readonly copies: number;
}

/** @param events how many the log is to have, more or less */
export async function createFilledStore(engine: EngineUnderTest, events: number): Promise<FilledStore> {
  const store = await engine.createStore();
  try {
    const [template] = newUuids(1);
    if (template === undefined) throw new Error('No id');
    const server = await startServer(store);
    const globalId = await makeTemplate(server.address, template).finally(() => server.stop());
    const copies = events / EVENTS_PER_CART;
    await fill(store, template, copies);
    return { store, template, globalId, copies };
  } catch (error) {
    await store.remove();
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
