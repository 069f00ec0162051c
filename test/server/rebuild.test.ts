import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Buyer } from '../support/buyer.ts';
import { shadowTables } from '../support/rebuilds.ts';
import type { Input } from '../support/shop.ts';
import { watch } from '../support/sockets.ts';
import { describeEachStore } from '../support/stores.ts';
import { TradingShop } from '../support/trading-shop.ts';

const PROJECTION = `name status version position lag
  rebuild { status processed total differences differentKeys startedAt finishedAt error }`;
const PROJECTIONS = `{ projections { ${PROJECTION} } }`;
const CHANGED = `subscription ($name: String!) { projectionChanged(name: $name) { ${PROJECTION} } }`;
const mutationOf = (field: string, type: string) =>
  `mutation ($input: ${type}!) { answer: ${field}(input: $input) { __typename
    ... on Rejection { code message } ... on IllegalState { state } ... on ValidationFailed { fields { path } }
    ... on ProjectionPayload { projection { ${PROJECTION} } receipt { commandId status replayed } } } }`;
const BEGIN = mutationOf('rebuildProjection', 'RebuildProjectionInput');
const CANCEL = mutationOf('cancelRebuild', 'CancelRebuildInput');

interface ToldProjection {
  readonly name: string;
  readonly status: string;
  readonly version: number;
  readonly position: string;
  readonly lag: number;
  readonly rebuild: {
    readonly status: string;
    readonly processed: number;
    readonly total: number;
    readonly differences: number | null;
    readonly differentKeys: readonly string[];
    readonly error: string | null;
  } | null;
}
interface Answer {
  readonly __typename: string;
  readonly state?: string;
  readonly projection?: ToldProjection;
  readonly receipt?: { readonly commandId: string; readonly status: string; readonly replayed: boolean };
}

describeEachStore('Projections', (kind) => {
  let shop: TradingShop;
  let buyer: Buyer;

  beforeAll(async () => {
    shop = await TradingShop.open(kind);
    buyer = shop.buyer;
    await buyer.addProduct('A', { price: 500 });
    await buyer.run('addCoupon', { code: 'TENTH', label: 'A tenth', percent: 10 });
    // Something of everything: a customer, orders with payments, shipments and mails, and the processes behind them.
    const cartId = await buyer.cartWith({ A: 2 });
    await buyer.run('applyCoupon', { cartId, code: 'TENTH' });
    const { order } = await buyer.checkOut(cartId);
    await buyer.pay(order?.id ?? '');
    const prepared = { status: 'PREPARING', shipments: [{ status: 'PREPARED' }] };
    await shop.deliver(await buyer.untilOrder(order?.id ?? '', prepared));
    await buyer.placed({ A: 1 });
  });
  afterAll(() => shop.close());

  const projections = async () =>
    (await buyer.read<{ projections: readonly ToldProjection[] }>(PROJECTIONS)).projections;
  const operate = async (document: string, input: Input) =>
    (await buyer.read<{ answer: Answer }>(document, { input })).answer;
  const ended = (name: string): Promise<ToldProjection> =>
    vi.waitFor(
      async () => {
        const found = (await projections()).find((it) => it.name === name);
        if (found === undefined || !['SWAPPED', 'FAILED', 'CANCELLED'].includes(found.rebuild?.status ?? ''))
          throw new Error(`It is ${JSON.stringify(found)}.`);
        return found;
      },
      { timeout: 20_000, interval: 50 },
    );

  test('are all listed, by name, as they stand', async () => {
    const listed = await projections();
    const names = listed.map(({ name }) => name);
    expect(names).toEqual(names.toSorted());
    expect(names).toEqual(expect.arrayContaining(['cart.carts', 'ordering.orders', 'processes']));
    for (const it of listed) expect(it).toMatchObject({ status: 'LIVE', rebuild: null });
  });

  test('are rebuilt to what they were, each of them, whatever is encrypted in them', async () => {
    for (const { name } of await projections()) {
      const commandId = randomUUID();
      const begun = await operate(BEGIN, { name, commandId });
      expect(begun, name).toMatchObject({ __typename: 'ProjectionPayload', receipt: { status: 'SUCCEEDED' } });
      expect(begun.projection?.rebuild, name).not.toBeNull();
      const { rebuild, status } = await ended(name);
      expect(rebuild, name).toMatchObject({ status: 'SWAPPED', differences: 0, differentKeys: [], error: null });
      expect(rebuild?.processed, name).toBe(rebuild?.total);
      expect(status, name).toBe('LIVE');
      expect((await operate(BEGIN, { name, commandId })).receipt).toMatchObject({ commandId, replayed: true });
    }
    expect(await shadowTables(shop.server.database)).toEqual([]);
    const { id } = await buyer.placed({ A: 1 });
    await buyer.untilOrder(id, { status: 'PLACED' });
  });

  describe('can be watched', () => {
    test('while they are rebuilt', async () => {
      const watching = watch<{ projectionChanged: ToldProjection }>(shop.client, {
        query: CHANGED,
        variables: { name: 'cart.carts' },
      });
      await vi.waitFor(() => expect(watching.results.length).toBeGreaterThan(0), { timeout: 10_000 });
      await operate(BEGIN, { name: 'cart.carts' });
      await vi.waitFor(
        () => {
          const told = watching.results.map(({ data }) => data?.projectionChanged.rebuild);
          expect(told.at(-1)).toMatchObject({ status: 'SWAPPED', differences: 0 });
          expect(told.length).toBeGreaterThan(1);
        },
        { timeout: 20_000, interval: 50 },
      );
      watching.stop();
      await vi.waitFor(() => expect(shop.server.engine.projectionWatch.watchers).toBe(0));
    });

    test('only if they are there', async () => {
      const watching = watch(shop.client, { query: CHANGED, variables: { name: 'nobody.knows' } });
      await watching.ended;
      expect(JSON.stringify([watching.results, watching.error])).toContain('NOT_FOUND');
    });
  });

  test('that are not there cannot be rebuilt, nor what is not being rebuilt be cancelled', async () => {
    for (const document of [BEGIN, CANCEL]) {
      expect(await operate(document, { name: 'nobody.knows' })).toMatchObject({ __typename: 'NotFound' });
      expect(await operate(document, { name: '' })).toMatchObject({ __typename: 'ValidationFailed' });
      expect(await operate(document, { name: 'x'.repeat(10_000) })).toMatchObject({ __typename: 'ValidationFailed' });
    }
    await operate(BEGIN, { name: 'cart.coupons' });
    await ended('cart.coupons');
    expect(await operate(CANCEL, { name: 'cart.coupons' })).toMatchObject({
      __typename: 'IllegalState',
      state: 'SWAPPED',
    });
  });
});
