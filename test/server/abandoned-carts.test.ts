import type { Client } from 'graphql-ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventually, Operator, rawId } from '../support/operator.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { socketClient, type Watching, watch } from '../support/sockets.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const AFTER_MS = 500;
const PACE_MS = 200;
const WATCH = `subscription Watch($id: ID!, $after: Position) {
  cartChanged(id: $id, after: $after) { cart { status version itemCount } events { type version recordedAt } }
}`;

interface Watched {
  readonly cartChanged: {
    readonly cart: { readonly status: string; readonly version: number; readonly itemCount: number };
    readonly events: readonly { readonly type: string; readonly version: number; readonly recordedAt: string }[];
  };
}

const changes = ({ results }: Watching<Watched>) => results.flatMap(({ data }) => data?.cartChanged ?? []);
const events = (watching: Watching<Watched>) => changes(watching).flatMap((change) => change.events);
const later = (instant: string | undefined, milliseconds: number) =>
  new Date(Date.parse(instant ?? '') + milliseconds).toISOString();

describeEachStore('A cart that nobody changes', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let shop: Operator;
  let client: Client;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store, { cartAbandonedAfterMs: AFTER_MS });
    shop = new Operator(server.url);
    client = socketClient(server.webSocketUrl);
    await shop.addProduct('A');
    await shop.addProduct('E', { currency: 'EUR' });
  });
  afterAll(async () => {
    await client.dispose();
    await server.stop();
    await store.remove();
  });

  /** A new cart, watched from its beginning on. */
  async function watchedCart(currency?: string): Promise<{ cartId: string; watching: Watching<Watched> }> {
    const { cart, receipt } = await shop.run('createCart', { currency });
    const variables = { id: cart?.id, after: receipt?.position };
    const watching = watch<Watched>(client, { query: WATCH, variables });
    await eventually(() => expect(watching.results).not.toEqual([]));
    return { cartId: cart?.id ?? '', watching };
  }

  const untilStatus = (watching: Watching<Watched>, status: string, version: number) =>
    eventually(() => expect(changes(watching).at(-1)?.cart).toMatchObject({ status, version }));

  /** When its time was up, by the timers that went off. */
  async function timesUp(cartId: string): Promise<string[]> {
    const filter = { aggregateId: rawId(cartId), name: ['abandoned-carts.timer'], status: ['SUCCEEDED'] };
    return (await shop.commands({ filter })).nodes.map(({ dueAt }) => dueAt ?? '').reverse();
  }

  test('is abandoned when its time is up, which begins with the last change', async () => {
    const { cartId, watching } = await watchedCart();
    let last = '';
    // Each comes before the time of the one before is up, and all together take longer.
    for (let quantity = 1; quantity <= 4; quantity += 1) {
      await shop.addItem(cartId, 'A', 1);
      await eventually(() => expect(changes(watching).at(-1)?.cart.itemCount).toBe(quantity));
      last = events(watching).at(-1)?.recordedAt ?? '';
      if (quantity < 4) await eventually(() => expect(new Date().toISOString() > later(last, PACE_MS)).toBe(true));
    }
    await untilStatus(watching, 'ABANDONED', 6);
    expect(events(watching).map(({ type }) => type)).toEqual([...Array(4).fill('ItemAddedToCart'), 'CartAbandoned']);
    // Not a millisecond before, whatever came up meanwhile.
    expect((await timesUp(cartId)).at(-1)).toBe(later(last, AFTER_MS));
    expect((events(watching).at(-1)?.recordedAt ?? '') >= later(last, AFTER_MS)).toBe(true);
    expect(await shop.cart(cartId)).toMatchObject({ status: 'ABANDONED', version: 6, itemCount: 4 });
    watching.stop();
  });

  test('is abandoned empty, too', async () => {
    const { cartId, watching } = await watchedCart();
    await untilStatus(watching, 'ABANDONED', 2);
    const { createdAt } = (await shop.node<{ createdAt: string }>(cartId, '... on Cart { createdAt }')) ?? {};
    expect(await timesUp(cartId)).toEqual([later(createdAt, AFTER_MS)]);
    watching.stop();
  });

  test('is opened again by whoever changes it, and abandoned again', async () => {
    const { cartId, watching } = await watchedCart();
    await shop.addItem(cartId, 'A', 1);
    await untilStatus(watching, 'ABANDONED', 3);
    // What changes nothing, or is refused, leaves it as it is.
    expect(await shop.run('changeItemQuantity', { cartId, sku: 'A', quantity: 1 })).toMatchObject({
      __typename: 'CartPayload',
      cart: { status: 'ABANDONED', version: 3 },
    });
    expect((await shop.addItem(cartId, 'E', 1)).__typename).toBe('CurrencyMismatch');
    expect(await shop.addItem(cartId, 'A', 2, { expectedVersion: 3 })).toMatchObject({
      __typename: 'CartPayload',
      cart: { status: 'OPEN', version: 5, itemCount: 3 },
      receipt: { version: 5 },
    });
    await eventually(() => expect(changes(watching).map(({ cart }) => cart.status)).toContain('OPEN'));
    const reopened = changes(watching).find(({ events: [first] }) => first?.type === 'CartReopened');
    expect(reopened?.events.slice(0, 2).map(({ type }) => type)).toEqual(['CartReopened', 'ItemAddedToCart']);
    expect(reopened?.cart.itemCount).toBe(3);
    await untilStatus(watching, 'ABANDONED', 6);
    const added = events(watching).find(({ version }) => version === 5);
    expect((await timesUp(cartId)).at(-1)).toBe(later(added?.recordedAt, AFTER_MS));
    watching.stop();
  });

  test('is not abandoned any more when its lines are in another, which has time from then on', async () => {
    const { cartId: from, watching: leaving } = await watchedCart();
    const { cartId: into, watching: taking } = await watchedCart();
    await shop.addItem(from, 'A', 2);
    await shop.run('mergeCarts', { fromCartId: from, intoCartId: into });
    await untilStatus(taking, 'ABANDONED', 4);
    const takenIn = events(taking).find(({ type }) => type === 'CartLinesTakenIn');
    expect((await timesUp(into)).at(-1)).toBe(later(takenIn?.recordedAt, AFTER_MS));
    expect(changes(leaving).at(-1)?.cart.status).toBe('MERGED');
    expect(events(leaving).map(({ type }) => type)).toEqual(['ItemAddedToCart', 'CartLinesHandedOver', 'CartMerged']);
    for (const it of [leaving, taking]) it.stop();
  });

  test('is taken in though it was abandoned, and its own time begins again where it takes its lines back', async () => {
    const { cartId: from, watching: leaving } = await watchedCart('EUR');
    const { cartId: into, watching: taking } = await watchedCart();
    await shop.addItem(from, 'E', 2);
    await untilStatus(leaving, 'ABANDONED', 3);
    await untilStatus(taking, 'ABANDONED', 2);
    expect(await shop.run('mergeCarts', { fromCartId: from, intoCartId: into })).toMatchObject({
      __typename: 'CurrencyMismatch',
    });
    await untilStatus(leaving, 'ABANDONED', 6);
    const types = events(leaving).map(({ type }) => type);
    expect(types.slice(2)).toEqual(['CartLinesHandedOver', 'CartLinesTakenBack', 'CartAbandoned']);
    await untilStatus(taking, 'ABANDONED', 5);
    for (const it of [leaving, taking]) it.stop();
  });

  test('is watched by a process that tells what it waits for', async () => {
    const { cartId, watching } = await watchedCart();
    const filter = { aggregateId: rawId(cartId), name: ['CreateCart'] };
    const correlationId = (await shop.commands({ filter })).nodes[0]?.correlationId ?? '';
    await untilStatus(watching, 'ABANDONED', 2);
    await eventually(async () =>
      expect(await shop.processes(correlationId)).toMatchObject([
        {
          process: 'abandoned-carts',
          status: 'COMPLETED',
          steps: [
            { name: 'watch', status: 'WAITING', detail: expect.stringContaining('until') },
            { name: 'abandon', status: 'WAITING' },
            { name: 'abandon', status: 'DONE', detail: 'ABANDONED' },
          ],
        },
      ]),
    );
    await shop.addItem(cartId, 'A', 1);
    await eventually(async () =>
      expect(await shop.processes(correlationId)).toMatchObject([{ status: 'RUNNING', finishedAt: null }]),
    );
    watching.stop();
  });
});
