import { afterAll, beforeAll, expect, test } from 'vitest';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { Buyer, EMAIL } from '../support/buyer.ts';
import { rawId } from '../support/operator.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

// What is exported of somebody is all there is, however much lies before it.

interface Exported {
  readonly isComplete: boolean;
  readonly commands: readonly { readonly name: string; readonly input: unknown }[];
}

describeEachStore('An export', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let buyer: Buyer;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    buyer = new Buyer(server.url);
    await buyer.addProduct('ink', { stock: 1_000 });
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  async function exportOf(customerId: string): Promise<Exported> {
    const query = 'query All($id: ID!) { exportCustomer(id: $id) }';
    const id = encodeGlobalId('Customer', customerId);
    return (await buyer.read<{ exportCustomer: Exported }>(query, { id })).exportCustomer;
  }
  test('has every command of a cart that was changed again and again', async () => {
    const cart = await buyer.newCart();
    const changes = 205;
    for (let done = 0; done < changes; done += 1) await buyer.addItem(cart, 'ink', 1);
    await buyer.checkOut(cart);
    const { commands, isComplete } = await exportOf(rawId(cart));
    expect(isComplete).toBe(true);
    expect(commands.find(({ name }) => name === 'CheckOutCart')).toMatchObject({ input: { email: EMAIL } });
  }, 60_000);
});
