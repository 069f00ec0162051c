import { randomUUID } from 'node:crypto';
import { createClient as createSseClient } from 'graphql-sse';
import type { Client, ExecutionResult } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { eventually, Operator, rawId, receiptOf } from '../support/operator.ts';
import { mendFaults, type PlantedFault, plantFault } from '../support/planted-faults.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { socketClient, watch } from '../support/sockets.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const SOURCE = 'projection:cart.carts';
const WATCH = `subscription Watch($id: ID!, $after: Position) {
  cartChanged(id: $id, after: $after) { position cart { version itemCount } events { type version } }
}`;
const PARKED = [expect.objectContaining({ extensions: { code: 'PROJECTION_PARKED' } })];

interface Watched {
  readonly cartChanged: {
    readonly position: string;
    readonly cart: { readonly version: number; readonly itemCount: number };
    readonly events: readonly { readonly type: string; readonly version: number }[];
  };
}

const readiness = z.object({
  status: z.string(),
  followers: z.array(z.object({ name: z.string(), failing: z.boolean(), lag: z.number(), parked: z.number() })),
});

describeEachStore('A cart whose row cannot be written', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  let operator: Operator;
  let client: Client;

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    operator = new Operator(server.url);
    client = socketClient(server.webSocketUrl);
    for (const sku of ['A', 'B']) await operator.addProduct(sku);
  });
  afterEach(mendFaults);
  afterAll(async () => {
    await client.dispose();
    await server.stop();
    await store.remove();
  });

  /** The database refuses the row of this cart as of its third event. */
  const breakRow = (cartId: string) =>
    plantFault(server.database, 'cart_view', `NEW.id = '${rawId(cartId)}' AND NEW.version >= 3`);

  /** A cart with one piece, and three changes more that its row does not have. */
  async function parkedCart(): Promise<{ cartId: string; before: string; position: string; fault: PlantedFault }> {
    const cartId = await operator.newCart();
    const before = receiptOf(await operator.addItem(cartId, 'A', 1)).position ?? '';
    const fault = await breakRow(cartId);
    const positions: (string | null)[] = [];
    for (const quantity of [2, 3, 4]) {
      const outcome = await operator.addItem(cartId, 'A', quantity);
      expect(outcome).toMatchObject({ __typename: 'CommandAccepted', receipt: { status: 'SUCCEEDED' } });
      positions.push(receiptOf(outcome).position);
    }
    return { cartId, before, position: positions.at(-1) ?? '', fault };
  }

  async function letterOf(cartId: string) {
    const streamId = `cart-${rawId(cartId)}`;
    const letter = (await operator.deadLetters(SOURCE)).find((it) => it.payload['streamId'] === streamId);
    if (letter === undefined) throw new Error(`No event of the cart ${cartId} has failed.`);
    return letter;
  }

  const faultOf = async (query: string, variables: Record<string, unknown>) =>
    (await operator.ask(query, variables)).errors?.map(({ extensions }) => extensions?.code);

  const READ = 'query Read($id: ID!, $minPosition: Position) { cart(id: $id, minPosition: $minPosition) { version } }';

  async function ready() {
    const response = await fetch(new URL('/health/ready', server.url));
    const { status, followers } = readiness.parse(await response.json());
    return { status, http: response.status, carts: followers.find(({ name }) => name === SOURCE) };
  }

  /** Waits until the row is up to date again. */
  const untilFresh = (cartId: string, position: string) =>
    eventually(async () => expect(await faultOf(READ, { id: cartId, minPosition: position })).toBeUndefined());

  test('is read as it was, unless it must be up to date', async () => {
    const { cartId, before, position, fault } = await parkedCart();
    expect(await operator.cart(cartId)).toMatchObject({ version: 2, itemCount: 1, position: before });
    expect(await operator.node(cartId, '... on Cart { version }')).toMatchObject({ version: 2 });
    expect(await faultOf(READ, { id: cartId, minPosition: position })).toEqual(['PROJECTION_PARKED']);
    // Nobody can tell what else is missing from it.
    expect(await faultOf(READ, { id: cartId, minPosition: before })).toEqual(['PROJECTION_PARKED']);
    expect(await letterOf(cartId)).toMatchObject({
      source: SOURCE,
      payload: { event: 'ItemAddedToCart', version: 3 },
      error: expect.stringContaining('a planted fault'),
      attempts: 5,
      status: 'OPEN',
      waitingBehind: 2,
    });
    await fault.mend();
    const { id } = await letterOf(cartId);
    expect(await operator.operate('retryDeadLetter', { deadLetterId: id })).toMatchObject({
      __typename: 'DeadLetterPayload',
      deadLetter: { id, status: 'RETRIED' },
    });
    await untilFresh(cartId, position);
    expect(await operator.cart(cartId, position)).toMatchObject({ version: 5, itemCount: 10, position });
    expect(await operator.deadLetters(SOURCE)).toEqual([]);
    expect(await operator.addItem(cartId, 'B', 1)).toMatchObject({
      __typename: 'CartPayload',
      cart: { version: 6, itemCount: 11 },
    });
  });

  test('has its past up to there, and no past that is made up after it', async () => {
    const { cartId, fault } = await parkedCart();
    const asOf = 'query AsOf($id: ID!, $asOf: AsOf!) { cartAsOf(id: $id, asOf: $asOf) { version itemCount } }';
    const at = (version: number) => operator.ask<{ cartAsOf: object }>(asOf, { id: cartId, asOf: { version } });
    expect((await at(2)).data?.cartAsOf).toEqual({ version: 2, itemCount: 1 });
    expect(await faultOf(asOf, { id: cartId, asOf: { version: 5 } })).toEqual(['PROJECTION_PARKED']);
    // What it is decided from is known from its events alone.
    expect(await operator.run('restoreCart', { cartId, toVersion: 3 })).toMatchObject({
      __typename: 'CommandAccepted',
      receipt: { status: 'SUCCEEDED', version: 7 },
    });
    await fault.mend();
    await operator.operate('retryDeadLetter', { deadLetterId: (await letterOf(cartId)).id });
    await eventually(async () => expect((await at(7)).data?.cartAsOf).toEqual({ version: 7, itemCount: 3 }));
    expect((await at(5)).data?.cartAsOf).toEqual({ version: 5, itemCount: 10 });
  });

  test('takes commands as ever: they are decided on what happened, and answered as accepted', async () => {
    const { cartId, fault, position } = await parkedCart();
    const input = { cartId, sku: 'A', quantity: 7, expectedVersion: 5, commandId: randomUUID() };
    const accepted = await operator.run('changeItemQuantity', input);
    expect(accepted).toMatchObject({
      __typename: 'CommandAccepted',
      receipt: { status: 'SUCCEEDED', version: 6, position: expect.any(String), replayed: false },
    });
    expect(await operator.run('changeItemQuantity', input)).toMatchObject({
      __typename: 'CommandAccepted',
      receipt: { status: 'SUCCEEDED', version: 6, replayed: true },
    });
    // Also those that change nothing, and those that are refused.
    expect(await operator.run('changeItemQuantity', { cartId, sku: 'A', quantity: 7 })).toMatchObject({
      __typename: 'CommandAccepted',
      receipt: { status: 'SUCCEEDED', version: 6, position: null },
    });
    expect(await operator.addItem(cartId, 'A', 1, { expectedVersion: 2 })).toMatchObject({
      __typename: 'VersionConflict',
      actualVersion: 6,
      eventsSince: [{ version: 3 }, { version: 4 }, { version: 5 }, { version: 6 }],
    });
    const queued = await operator.queue('addItemToCart', { cartId, sku: 'B', quantity: 1 });
    await operator.untilStatus(queued, 'SUCCEEDED');
    const into = await operator.newCart();
    expect(await operator.run('mergeCarts', { fromCartId: cartId, intoCartId: into })).toMatchObject({
      __typename: 'CartPayload',
      cart: { itemCount: 8 },
    });
    expect((await operator.cart(cartId))?.version).toBe(2);
    await fault.mend();
    const { id, waitingBehind } = await letterOf(cartId);
    expect(waitingBehind).toBe(6);
    await operator.operate('retryDeadLetter', { deadLetterId: id });
    await untilFresh(cartId, position);
    await eventually(async () =>
      expect(await operator.cart(cartId)).toMatchObject({ status: 'MERGED', version: 9, itemCount: 0 }),
    );
  });

  test('ends live views of it, each alone; other carts stay live, and so does the socket', async () => {
    const [cartId, other] = [await operator.newCart(), await operator.newCart()];
    const begun = receiptOf(await operator.addItem(cartId, 'A', 1)).position ?? '';
    const watching = watch<Watched>(client, { query: WATCH, variables: { id: cartId } });
    const beside = watch<Watched>(client, { query: WATCH, variables: { id: other } });
    const sse = createSseClient({ url: server.url, retryAttempts: 0 });
    const overSse: ExecutionResult<Watched>[] = [];
    const sseEnded = (async () => {
      const iterator = sse.iterate<Watched>({ query: WATCH, variables: { id: cartId } });
      for await (const result of iterator) overSse.push(result as ExecutionResult<Watched>);
    })();
    await eventually(() => expect([watching, beside].map(({ results }) => results.length)).toEqual([1, 1]));
    await eventually(() => expect(overSse).toHaveLength(1));

    const fault = await breakRow(cartId);
    await operator.addItem(cartId, 'A', 1);
    await watching.ended;
    await sseEnded;
    expect(watching.error).toBeUndefined();
    for (const results of [watching.results, overSse]) {
      expect(results).toMatchObject([{ data: { cartChanged: { cart: { version: 2 } } } }, { errors: PARKED }]);
      expect(results.at(-1)?.data ?? null).toBeNull();
    }

    const refused = [undefined, begun].map((after) =>
      watch<Watched>(client, { query: WATCH, variables: { id: cartId, after } }),
    );
    for (const { ended, error, results } of refused) {
      await ended;
      expect(JSON.stringify(error ?? results)).toContain('PROJECTION_PARKED');
    }
    await operator.addItem(other, 'A', 5);
    await eventually(() => expect(beside.results.at(-1)?.data?.cartChanged).toMatchObject({ cart: { itemCount: 5 } }));
    expect(beside.error).toBeUndefined();
    expect(server.engine.view(cartProjection).live.watched).toEqual({ topics: 1, subscribers: 1 });

    await fault.mend();
    const { id } = await letterOf(cartId);
    await operator.operate('retryDeadLetter', { deadLetterId: id });
    // Who comes back with where they were misses nothing.
    const resumed = await eventually(async () => {
      const again = watch<Watched>(client, { query: WATCH, variables: { id: cartId, after: begun } });
      await Promise.race([again.ended, eventually(() => expect(again.results).not.toEqual([]))]);
      expect(again.results[0]?.data?.cartChanged).toMatchObject({
        cart: { version: 3, itemCount: 2 },
        events: [{ type: 'ItemAddedToCart', version: 3 }],
      });
      return again;
    });
    await operator.addItem(cartId, 'A', 1);
    await eventually(() =>
      expect(resumed.results.at(-1)?.data?.cartChanged).toMatchObject({
        cart: { version: 4 },
        events: [{ version: 4 }],
      }),
    );
    for (const it of [resumed, beside]) it.stop();
    await eventually(() =>
      expect(server.engine.view(cartProjection).live.watched).toEqual({ topics: 0, subscribers: 0 }),
    );
    sse.dispose();
  });

  test('does not hold up any other row, and is shown to whoever watches over the server', async () => {
    expect(await ready()).toMatchObject({ http: 200, status: 'ready', carts: { parked: 0, failing: false } });
    const first = await parkedCart();
    const second = await parkedCart();
    const cartId = await operator.newCart();
    expect(await operator.addItem(cartId, 'A', 3)).toMatchObject({ __typename: 'CartPayload' });
    await eventually(async () =>
      expect(await ready()).toMatchObject({ http: 200, status: 'ready', carts: { parked: 2, failing: false, lag: 0 } }),
    );
    await first.fault.mend();
    await second.fault.mend();
    expect(await operator.operate('retryDeadLetters', { source: SOURCE })).toMatchObject({ count: 2 });
    for (const it of [first, second]) await untilFresh(it.cartId, it.position);
    expect((await ready()).carts).toMatchObject({ parked: 0 });
    expect((await operator.cart(first.cartId))?.itemCount).toBe(10);
  });

  test('is parked again, with its attempts added up, where it was retried before it was mended', async () => {
    const { cartId, position, fault } = await parkedCart();
    const { id } = await letterOf(cartId);
    await operator.operate('retryDeadLetter', { deadLetterId: id });
    await eventually(async () => expect(await letterOf(cartId)).toMatchObject({ id, attempts: 10, waitingBehind: 2 }));
    expect(await faultOf(READ, { id: cartId, minPosition: position })).toEqual(['PROJECTION_PARKED']);
    await fault.mend();
    await operator.operate('retryDeadLetter', { deadLetterId: id });
    await untilFresh(cartId, position);
  });

  test('goes on without an event that an operator drops', async () => {
    const { cartId, position } = await parkedCart();
    await mendFaults();
    const { id } = await letterOf(cartId);
    const dropped = await operator.operate('dropDeadLetter', { deadLetterId: id, reason: 'It was never meant.' });
    expect(dropped).toMatchObject({ deadLetter: { status: 'DROPPED', droppedReason: 'It was never meant.' } });
    await untilFresh(cartId, position);
    // Without the two pieces of that event.
    expect(await operator.cart(cartId)).toMatchObject({ version: 5, itemCount: 8 });
    expect((await operator.deadLetters(SOURCE)).map((it) => it.id)).not.toContain(id);
  });

  if (kind.engine === 'pglite') return;
  test('is the same on every server of its database', async () => {
    const another = await startLocalServer(store);
    try {
      const there = new Operator(another.url);
      const isThereTheOwner = another.engine.view(cartProjection).follower.isOwner;
      expect([isThereTheOwner, server.engine.view(cartProjection).follower.isOwner]).toEqual([false, true]);
      const cartId = await operator.newCart();
      await operator.addItem(cartId, 'A', 1);
      const socket = socketClient(another.webSocketUrl);
      const watching = watch<Watched>(socket, { query: WATCH, variables: { id: cartId } });
      await eventually(() => expect(watching.results).toHaveLength(1));
      const fault = await breakRow(cartId);
      const accepted = await there.addItem(cartId, 'A', 1);
      expect(accepted).toMatchObject({ __typename: 'CommandAccepted', receipt: { status: 'SUCCEEDED' } });
      await watching.ended;
      expect(watching.results.at(-1)).toMatchObject({ errors: PARKED });
      const variables = { id: cartId, minPosition: accepted.receipt?.position };
      const told = async () => (await there.ask(READ, variables)).errors?.map(({ extensions }) => extensions?.code);
      expect(await told()).toEqual(['PROJECTION_PARKED']);
      expect((await there.cart(cartId))?.version).toBe(2);
      await fault.mend();
      const { id } = await letterOf(cartId);
      expect(await there.operate('retryDeadLetter', { deadLetterId: id })).toMatchObject({
        deadLetter: { status: 'RETRIED' },
      });
      await eventually(async () => expect(await told()).toBeUndefined());
      expect(await there.addItem(cartId, 'A', 1)).toMatchObject({ __typename: 'CartPayload', cart: { itemCount: 3 } });
      await socket.dispose();
    } finally {
      await another.stop();
    }
  });
});
