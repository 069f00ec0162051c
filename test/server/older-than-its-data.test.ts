import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { decodeGlobalId } from '../../src/graphql/global-id.ts';
import { eventDefinitions } from '../support/golden-events.ts';
import { testCodec } from '../support/master-key.ts';
import { type GraphQLAnswer, send } from '../support/requests.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { type WrittenEvent, writeAsThen } from '../support/written-events.ts';

// A server that meets what a former one wrote, and what only a later one can read.

const ADD = `mutation Add($cartId: ID!) { addItemToCart(input: { cartId: $cartId, sku: "MUG", quantity: 1 }) {
  __typename ... on CartPayload { cart { itemCount version } } ... on Rejection { message } } }`;
const HISTORY = `query History($cartId: ID!) {
  events(first: 10, filter: { aggregateType: "cart", aggregateId: $cartId }) { nodes {
    __typename type schemaVersion version data
    ... on ItemAddedToCart { payload { quantity } }
    ... on UnknownEvent { reason }
  } } }`;
const STOCK = `query Stock { product(sku: "MUG") { available stockVersion } events(first: 10, filter: { types: ["StockAdjusted"] }) {
  nodes { schemaVersion ... on StockAdjusted { payload { delta available reason } } } } }`;

describeEachStore('A server with data of other versions', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  const ask = (query: string, variables: object = {}): Promise<GraphQLAnswer<unknown>> =>
    send(server.url, query, variables);
  let blessed: string;
  let newer: string;
  let sound: string;
  const rawId = (id: string) => String(decodeGlobalId(id).id);

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store);
    await ask(
      `mutation { addProduct(input: { sku: "MUG", name: "Mug", price: { amountMinor: 100, currency: "GBP" }, stock: 10 }) {
         __typename } }`,
    );
    const cart = async () => {
      const { data } = await ask('mutation { createCart { ... on CartPayload { cart { id } } } }');
      const id = String(Object(data).createCart.cart.id);
      await ask(ADD, { cartId: id });
      return id;
    };
    [blessed, newer, sound] = [await cart(), await cart(), await cart()];
    await server.stop();

    const database = await openMigrated(store);
    const codec = await testCodec(database);
    const written: WrittenEvent[] = [
      {
        type: 'CartBlessed',
        schemaVersion: 1,
        data: { by: 'sealed1.Ym8.eHh4' },
        aggregateType: 'cart',
        aggregateId: rawId(blessed),
      },
      {
        type: 'ItemAddedToCart',
        schemaVersion: 7,
        data: { items: [] },
        aggregateType: 'cart',
        aggregateId: rawId(newer),
      },
      {
        type: 'StockAdjusted',
        schemaVersion: 1,
        data: { sku: 'MUG', delta: 5, quantity: 15, reason: 'count' },
        aggregateType: 'stock',
        aggregateId: 'MUG',
      },
    ];
    await writeAsThen({ database, codec, definitions: eventDefinitions }, written);
    await database.close();
    server = await startLocalServer(store);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  it('reads what a former one wrote as if it had written it itself', async () => {
    const head = await server.engine.tail.refresh();
    await Promise.all(server.engine.views.map((view) => view.follower.reach(head, 10_000)));
    expect(await ask(STOCK)).toEqual({
      data: {
        product: { available: 15, stockVersion: 2 },
        events: { nodes: [{ schemaVersion: 2, payload: { delta: 5, available: 15, reason: 'count' } }] },
      },
    });
  });

  it('shows what a later one wrote, as it is stored', async () => {
    const { data } = await ask(HISTORY, { cartId: blessed });
    expect(Object(data).events.nodes.at(-1)).toEqual({
      __typename: 'UnknownEvent',
      type: 'CartBlessed',
      schemaVersion: 1,
      version: 3,
      data: { by: null },
      reason: 'This server is older than its data: it knows no CartBlessed.',
    });
    const other = await ask(HISTORY, { cartId: newer });
    expect(Object(other.data).events.nodes.map((it: object) => Object(it).__typename)).toEqual([
      'CartCreated',
      'ItemAddedToCart',
      'UnknownEvent',
    ]);
  });

  it('refuses to change what it cannot read, and says why; all else goes on', async () => {
    for (const cartId of [blessed, newer]) {
      const { data, errors } = await ask(ADD, { cartId });
      expect(data).toBeNull();
      expect(errors).toMatchObject([
        {
          message: expect.stringMatching(/^Nothing was changed\. .*This server is older than its data/),
          extensions: { code: 'UNREADABLE_EVENT' },
        },
      ]);
    }
    expect((await ask(ADD, { cartId: sound })).data).toMatchObject({
      addItemToCart: { cart: { itemCount: 2, version: 3 } },
    });
    const { data } = await ask(HISTORY, { cartId: newer });
    expect(Object(data).events.nodes).toHaveLength(3);
  });

  it('never shows as fresh what is not, and says so to operators', async () => {
    const head = server.engine.positions.encode(await server.engine.tail.refresh());
    const FRESH = 'query Fresh($id: ID!, $at: Position!) { cart(id: $id, minPosition: $at) { itemCount } }';
    expect((await ask(FRESH, { id: newer, at: head })).errors).toMatchObject([
      { extensions: { code: 'PROJECTION_PARKED' } },
    ]);
    // An event of a type that no projection names changes no row.
    expect((await ask(FRESH, { id: blessed, at: head })).data).toEqual({ cart: { itemCount: 1 } });
    const { data } = await ask('{ deadLetters(first: 10) { nodes { source error } } }');
    const letters: readonly { source: string; error: string }[] = Object(data).deadLetters.nodes;
    expect(letters.map(({ source }) => source)).toContain('projection:cart.carts');
    for (const { error } of letters) expect(error).toContain('it knows ItemAddedToCart up to version 1');
  });

  it('is asked for a command with a known id as before', async () => {
    const commandId = randomUUID();
    const sent = `mutation Add($cartId: ID!, $commandId: ID!) { addItemToCart(input: { commandId: $commandId, cartId: $cartId,
      sku: "MUG", quantity: 1 }) { __typename } }`;
    for (let turn = 0; turn < 2; turn += 1)
      expect((await ask(sent, { cartId: blessed, commandId })).errors).toMatchObject([
        { extensions: { code: 'UNREADABLE_EVENT' } },
      ]);
  });
});
