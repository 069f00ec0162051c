import { storeKinds, type TestStore } from '../support/stores.ts';

/** An empty store of the engine that every machine has: what clients see does not depend on it. */
export async function createEmbeddedStore(): Promise<TestStore> {
  const kind = storeKinds.find(({ engine }) => engine === 'pglite');
  if (kind === undefined) throw new Error('PGlite is not among the engines.');
  return kind.create();
}
