import { getOperationAST, Kind, type OperationDefinitionNode, parse } from 'graphql';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { addDemoCatalog } from '../../src/cli/demo-catalog.ts';
import { FIRST_OPERATIONS } from '../../src/server/graphiql.ts';
import { PAID_BY_NOW } from '../support/buyer.ts';
import { socketClient, watch } from '../support/sockets.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

// What a first visit is shown leads from an empty cart to goods that are delivered.

describeEachStore('The page of GraphiQL', (kind) => {
  let shop: TradingShop;
  beforeAll(async () => {
    shop = await TradingShop.open(kind, { pace: { preparedMs: 50, inTransitMs: 50 } });
    await addDemoCatalog(shop.server.engine);
  });
  afterAll(() => shop.close());

  test('has operations that each run as they are, in their order', { timeout: 60_000 }, async () => {
    const document = parse(FIRST_OPERATIONS);
    const operations = document.definitions.filter((it) => it.kind === Kind.OPERATION_DEFINITION);
    expect(new Set(operations.map(({ operation }) => operation))).toEqual(
      new Set(['mutation', 'query', 'subscription']),
    );
    const client = socketClient(shop.server.webSocketUrl);
    const answers = new Map<string, unknown>();
    const run = async (operation: OperationDefinitionNode) => {
      const operationName = operation.name?.value ?? '';
      // GraphiQL sends the whole page, and the name of the operation that the cursor is in.
      if (getOperationAST(document, operationName)?.operation === 'subscription') {
        return watch<Record<string, unknown>>(client, { query: FIRST_OPERATIONS, operationName });
      }
      const response = await fetch(shop.server.url, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ query: FIRST_OPERATIONS, operationName }),
      });
      answers.set(operationName, await response.json());
      return undefined;
    };
    const lives = new Map<string, ReturnType<typeof watch<Record<string, unknown>>>>();
    for (const operation of operations) {
      const live = await run(operation);
      if (live === undefined) continue;
      lives.set(operation.name?.value ?? '', live);
      await vi.waitFor(() => expect(live.results).toHaveLength(1), 30_000);
    }

    expect(answers.get('Products')).toMatchObject({ data: { products: { nodes: expect.any(Array) } } });
    expect(JSON.stringify(answers.get('Products'))).toContain('Lantern');
    expect(answers.get('NewCart')).toMatchObject({ data: { createCart: { cart: { version: 1 } } } });
    expect(answers.get('AddItem')).toMatchObject({ data: { addItemToCart: { cart: { version: 2 } } } });
    expect(answers.get('Cart')).toMatchObject({ data: { cart: { itemCount: 2, lines: [{ sku: '71053' }] } } });
    expect(answers.get('AddInBackground')).toMatchObject({
      data: { addItemToCart: { receipt: { status: 'QUEUED' } } },
    });
    expect(answers.get('Operations')).toMatchObject({
      data: { commands: { nodes: expect.arrayContaining([expect.objectContaining({ name: 'AddItemToCart' })]) } },
    });
    expect(answers.get('CheckOut')).toMatchObject({ data: { checkOutCart: { order: { status: 'PLACED' } } } });
    expect(answers.get('Pay')).toMatchObject({ data: { payOrder: { order: { status: PAID_BY_NOW } } } });
    expect(answers.get('Order')).toMatchObject({
      data: {
        order: { personalData: 'PRESENT', email: 'ada@example.com' },
        notifications: { nodes: expect.any(Array) },
      },
    });
    expect(answers.get('FiveChanges')).toMatchObject({
      data: { begin: { cart: { version: 1 } }, fifth: { cart: { version: 6, itemCount: 5 } } },
    });
    expect(answers.get('CartThen')).toMatchObject({
      data: { cartAsOf: { version: 2, lines: [{ sku: '71053', quantity: 2 }] } },
    });
    expect(answers.get('Diff')).toMatchObject({
      data: {
        diff: [
          { path: '/coupon', from: null, to: { code: 'WELCOME10' } },
          { path: '/lines/71053/quantity', from: 2, to: 5 },
        ],
      },
    });
    expect(answers.get('Restore')).toMatchObject({
      data: {
        restoreCart: {
          cart: {
            lines: [
              { sku: '71053', quantity: 2 },
              { sku: '16237', quantity: 1 },
            ],
            discounts: [],
          },
        },
      },
    });
    const restoring = '44444444-4444-4444-8444-444444444444';
    expect(answers.get('LastEvent')).toMatchObject({
      data: {
        events: { nodes: [{ type: 'CartRestored', commandId: restoring, data: { toVersion: 3 } }] },
        causation: {
          root: { command: { name: 'RestoreCart' } },
          steps: [
            { depth: 0, command: { name: 'RestoreCart', status: 'SUCCEEDED' } },
            { event: { type: 'ItemQuantityChanged' } },
            { event: { type: 'ItemAddedToCart' } },
            { event: { type: 'CouponRemoved' } },
            { depth: 1, event: { type: 'CartRestored' } },
          ],
        },
      },
    });
    const order = lives.get('LiveOrder');
    await vi.waitFor(() => expect(JSON.stringify(order?.results.at(-1))).toContain('"status":"DELIVERED"'), {
      timeout: 30_000,
    });
    const live = lives.get('LiveCart');
    expect(live?.results[1]).toMatchObject({
      data: { cartChanged: { events: [{ type: 'ItemAddedToCart', payload: { sku: '71053', quantity: 2 } }] } },
    });
    await client.dispose();
  });
});
