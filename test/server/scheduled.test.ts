import { randomUUID } from 'node:crypto';
import { createClient as createSseClient } from 'graphql-sse';
import type { Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  COMMAND_CHANGED,
  type CommandChanged,
  commandNode,
  eventually,
  inMs,
  type Operator,
  rawId,
  receiptOf,
} from '../support/operator.ts';
import { mendFaults } from '../support/planted-faults.ts';
import { BROKEN, ServedShop } from '../support/served-shop.ts';
import type { LocalServer } from '../support/servers.ts';
import type { Input } from '../support/shop.ts';
import { describeEachStore } from '../support/stores.ts';

const HOUR = 3_600_000;

describeEachStore('Commands that are run later', (kind) => {
  let shop: ServedShop;
  let server: LocalServer;
  let operator: Operator;
  let client: Client;

  beforeAll(async () => {
    shop = await ServedShop.open(kind);
    ({ server, operator, client } = shop);
  });
  afterEach(mendFaults);
  afterAll(() => shop.close());

  describe('A schedule', () => {
    test('has a command run when it is due, and not before', async () => {
      const input = await shop.addition({ quantity: 2 });
      const { commandId, cartId } = input;
      const before = inMs(0);
      const dueAt = inMs(300);
      const deadline = inMs(HOUR);
      expect(await operator.schedule('addItemToCart', input, { dueAt, deadline })).toEqual({
        __typename: 'CommandAccepted',
        receipt: {
          commandId,
          correlationId: expect.any(String),
          status: 'QUEUED',
          position: null,
          version: null,
          replayed: false,
        },
      });
      const done = await operator.untilStatus(commandId, 'SUCCEEDED');
      const after = inMs(0);
      expect(done).toEqual({
        id: commandNode(commandId),
        commandId,
        name: 'AddItemToCart',
        aggregateType: 'cart',
        aggregateId: rawId(cartId),
        status: 'SUCCEEDED',
        attempts: 1,
        actor: { kind: 'ADMIN', id: null },
        input: { cartId: rawId(cartId), sku: 'A', quantity: 2 },
        rejection: null,
        error: null,
        events: [{ type: 'ItemAddedToCart', version: 2, recordedAt: expect.any(String) }],
        submittedAt: expect.any(String),
        dueAt,
        deadline,
        finishedAt: expect.any(String),
        correlationId: expect.any(String),
        causationId: null,
      });
      const { submittedAt, finishedAt, events } = done;
      const instants = [before, submittedAt, dueAt, events[0]?.recordedAt ?? '', finishedAt ?? '', after];
      expect(instants).toEqual([...instants].sort());
      expect(await operator.cart(cartId)).toMatchObject({ version: 2, itemCount: 2 });
    });

    test('is taken by every change of a shop', async () => {
      const newCartId = randomUUID();
      const cartId = Buffer.from(`Cart:${newCartId}`).toString('base64url');
      const sku = `S-${randomUUID()}`;
      const price = { amountMinor: 5, currency: 'GBP' };
      const changes: readonly [string, Input][] = [
        ['createCart', { newCartId, currency: 'GBP' }],
        ['addItemToCart', { cartId, sku: 'A', quantity: 3 }],
        ['changeItemQuantity', { cartId, sku: 'A', quantity: 4 }],
        ['addItemToCart', { cartId, sku: 'B', quantity: 1 }],
        ['removeItemFromCart', { cartId, sku: 'B' }],
        ['clearCart', { cartId }],
        ['addItemToCart', { cartId, sku: 'C', quantity: 7 }],
      ];
      const ids = await Promise.all([
        ...[await queueAll(changes)],
        operator.queue('addProduct', { sku, name: 'New', price, stock: 1 }),
      ]);
      for (const commandId of ids.flat()) await operator.untilStatus(commandId, 'SUCCEEDED');
      const ofProduct: readonly [string, Input][] = [
        ['changeProductPrice', { sku, price: { amountMinor: 6, currency: 'GBP' } }],
        ['adjustStock', { sku, delta: 2, reason: 'found' }],
        ['deactivateProduct', { sku }],
      ];
      for (const commandId of await queueAll(ofProduct)) await operator.untilStatus(commandId, 'SUCCEEDED');
      // Those of one cart in the order in which they came, or this would not be what is left.
      expect(await operator.cart(cartId)).toMatchObject({ version: 7, lines: [{ sku: 'C', quantity: 7 }] });
      await eventually(async () =>
        expect(await operator.product(sku)).toMatchObject({ active: false, available: 3, price: { amountMinor: 6 } }),
      );
    });

    async function queueAll(changes: readonly (readonly [string, Input])[]): Promise<string[]> {
      const ids: string[] = [];
      for (const [field, input] of changes) ids.push(await operator.queue(field, input));
      return ids;
    }

    test('that is empty, or has nothing but nulls, has a command run in the background; none at all, at once', async () => {
      for (const schedule of [{}, { dueAt: null, deadline: null }]) {
        const commandId = await operator.queue('addItemToCart', await shop.addition(), schedule);
        expect(await operator.untilStatus(commandId, 'SUCCEEDED')).toMatchObject({ dueAt: null, deadline: null });
      }
      const document = `mutation Add($input: AddItemToCartInput!) {
        addItemToCart(input: $input, schedule: null) { __typename }
      }`;
      expect(await operator.read(document, { input: await shop.addition() })).toEqual({
        addItemToCart: { __typename: 'CartPayload' },
      });
    });

    test('with a dueAt that is past lets those go first that were queued before', async () => {
      const fault = await shop.breakSku();
      const { cartId } = await shop.addition();
      const first = await operator.queue('addItemToCart', { cartId, sku: BROKEN, quantity: 1 });
      await operator.queue('addItemToCart', { cartId, sku: 'A', quantity: 1 });
      const dueAt = inMs(-HOUR);
      const last = await operator.queue('addItemToCart', { cartId, sku: 'B', quantity: 1 }, { dueAt });
      await eventually(async () => expect((await operator.command(first))?.attempts).toBeGreaterThan(0));
      await fault.mend();
      await shop.hurry(last, 'SUCCEEDED');
      await operator.untilStatus(first, 'SUCCEEDED');
      expect((await operator.cart(cartId))?.lines.map(({ sku }) => sku)).toEqual([BROKEN, 'A', 'B']);
    });

    test.each([
      ['before dueAt', () => ({ dueAt: inMs(2_000), deadline: inMs(1_000) })],
      ['at dueAt', () => ((at) => ({ dueAt: at, deadline: at }))(inMs(1_000))],
      ['that has passed', () => ({ deadline: inMs(-1) })],
    ])('with a deadline %s is not valid, and nothing is stored', async (_, scheduleOf) => {
      const input = await shop.addition();
      expect(await operator.schedule('addItemToCart', input, scheduleOf())).toMatchObject({
        __typename: 'ValidationFailed',
        fields: [{ path: ['schedule', 'deadline'] }],
        receipt: null,
      });
      expect(await operator.command(input.commandId)).toBeNull();
      expect(await operator.run('addItemToCart', input)).toMatchObject({ receipt: { replayed: false } });
    });

    test('with an input that is not valid is refused at once', async () => {
      const input = await shop.addition({ quantity: 0 });
      expect(await operator.schedule('addItemToCart', input)).toMatchObject({
        __typename: 'ValidationFailed',
        fields: [{ path: ['quantity'] }],
        receipt: null,
      });
      expect(await operator.command(input.commandId)).toBeNull();
    });

    test.each([
      ['dueAt', '0000-01-01T00:00:00Z'],
      ['dueAt', '0001-01-01T00:00:00+23:59'],
      ['deadline', '9999-12-31T23:59:59-23:59'],
    ])('with a %s in a year that no database holds, %s, is taken all the same', async (member, instant) => {
      const input = await shop.addition();
      const outcome = await operator.schedule('addItemToCart', input, { [member]: instant });
      expect(outcome).toMatchObject({ __typename: 'CommandAccepted', receipt: { status: 'QUEUED' } });
      await operator.untilStatus(input.commandId, 'SUCCEEDED');
    });

    test('that comes again changes nothing: neither with another one nor without', async () => {
      const input = await shop.addition();
      const { commandId } = input;
      const dueAt = inMs(HOUR);
      await operator.queue('addItemToCart', input, { dueAt });
      const again = { __typename: 'CommandAccepted', receipt: { commandId, status: 'QUEUED', replayed: true } };
      expect(await operator.schedule('addItemToCart', input, { dueAt })).toMatchObject(again);
      expect(await operator.schedule('addItemToCart', input, {})).toMatchObject(again);
      expect(await operator.run('addItemToCart', input)).toMatchObject(again);
      expect(await operator.command(commandId)).toMatchObject({ status: 'QUEUED', dueAt, events: [] });
      const other = { ...input, quantity: 2 };
      expect(await operator.schedule('addItemToCart', other, { dueAt })).toMatchObject({
        __typename: 'CommandIdReused',
        commandId,
      });
      expect((await operator.run('addItemToCart', other)).__typename).toBe('CommandIdReused');
      await operator.operate('cancelCommand', { target: commandId });
    });

    test('that comes several times at once is one command', async () => {
      const input = await shop.addition({ quantity: 3 });
      const outcomes = await Promise.all(
        Array.from({ length: 8 }, (_, at) =>
          at % 2 === 0 ? operator.schedule('addItemToCart', input) : operator.run('addItemToCart', input),
        ),
      );
      expect(outcomes.filter(({ receipt }) => receipt?.replayed === false)).toHaveLength(1);
      await operator.untilStatus(input.commandId, 'SUCCEEDED');
      expect((await operator.cart(input.cartId))?.itemCount).toBe(3);
    });

    test('that comes again after the end is answered with the outcome', async () => {
      const input = await shop.addition({ quantity: 3 });
      await operator.queue('addItemToCart', input);
      const { commandId } = await operator.untilStatus(input.commandId, 'SUCCEEDED');
      const atOnce = await shop.addition();
      await operator.run('addItemToCart', atOnce);
      expect(await operator.schedule('addItemToCart', atOnce, { dueAt: inMs(HOUR) })).toMatchObject({
        __typename: 'CartPayload',
        receipt: { status: 'SUCCEEDED', replayed: true },
      });
      for (const again of [operator.schedule('addItemToCart', input), operator.run('addItemToCart', input)]) {
        expect(await again).toMatchObject({
          __typename: 'CartPayload',
          cart: { itemCount: 3 },
          receipt: { commandId, status: 'SUCCEEDED', version: 2, position: expect.any(String), replayed: true },
        });
      }
    });

    test('that comes again after its deadline is still known', async () => {
      const input = await shop.addition();
      const deadline = inMs(500);
      await operator.queue('addItemToCart', input, { deadline });
      await operator.untilStatus(input.commandId, 'SUCCEEDED', 'TIMED_OUT');
      await eventually(() => expect(inMs(0) > deadline).toBe(true));
      const again = await operator.schedule('addItemToCart', input, { deadline });
      expect(again.receipt).toMatchObject({ commandId: input.commandId, replayed: true });
    });

    test('whose deadline passes while the command waits has it never run', async () => {
      const fault = await shop.breakSku();
      const { cartId } = await shop.addition();
      const first = await operator.queue('addItemToCart', { cartId, sku: BROKEN, quantity: 1 });
      const input = await shop.addition({ cartId });
      const { commandId } = input;
      const deadline = inMs(400);
      await operator.queue('addItemToCart', input, { deadline });
      const watching = operator.follow(client, commandId);
      await watching.ended;
      expect(watching.results.at(0)?.data?.commandChanged.status).toBe('QUEUED');
      expect(watching.results.at(-1)?.data?.commandChanged.status).toBe('TIMED_OUT');
      const late = await operator.command(commandId);
      expect(late).toMatchObject({ status: 'TIMED_OUT', attempts: 0, events: [], rejection: null, error: null });
      expect((late?.finishedAt ?? '') >= deadline).toBe(true);
      await fault.mend();
      await shop.hurry(first, 'SUCCEEDED');
      expect(await operator.cart(cartId)).toMatchObject({ version: 2, lines: [{ sku: BROKEN }] });
      expect(await operator.run('addItemToCart', input)).toMatchObject({
        __typename: 'CommandNotDone',
        receipt: { status: 'TIMED_OUT', replayed: true },
      });
      expect((await operator.cart(cartId))?.version).toBe(2);
    });

    test('leaves a command its rejection as its outcome, whatever kind it is', async () => {
      const missing = await shop.addition({ sku: 'MISSING' });
      await operator.queue('addItemToCart', missing);
      const refused = await operator.untilStatus(missing.commandId, 'REJECTED');
      expect(refused).toMatchObject({ attempts: 1, rejection: { code: 'NOT_FOUND', id: 'MISSING' }, events: [] });
      expect(await operator.run('addItemToCart', missing)).toMatchObject({
        __typename: 'NotFound',
        receipt: { status: 'REJECTED', replayed: true },
      });

      const outdated = await shop.addition({ expectedVersion: 7 });
      await operator.queue('addItemToCart', outdated);
      expect(await operator.untilStatus(outdated.commandId, 'REJECTED')).toMatchObject({
        rejection: { code: 'VERSION_CONFLICT', expectedVersion: 7, actualVersion: 1 },
      });
      expect(await operator.schedule('addItemToCart', outdated)).toMatchObject({
        __typename: 'VersionConflict',
        actualVersion: 1,
        eventsSince: [],
        receipt: { status: 'REJECTED', replayed: true },
      });
    });
  });

  describe('commandChanged', () => {
    /** What a command goes through from being queued to being done; it may be done before it was seen running. */
    function expectWholeWay(seen: readonly (CommandChanged | null | undefined)[]): void {
      const [first, ...rest] = seen.map((it) => [it?.commandChanged.status, it?.commandChanged.attempts]);
      expect(first).toEqual(['QUEUED', 0]);
      expect(rest.at(-1)).toEqual(['SUCCEEDED', 1]);
      expect([[], [['RUNNING', 1]]]).toContainEqual(rest.slice(0, -1));
      expect(seen.at(-1)?.commandChanged.events).toHaveLength(1);
      expect(seen.at(-1)?.commandChanged.finishedAt).toEqual(expect.any(String));
    }

    test('follows a command over graphql-ws from the queue to its end, and completes', async () => {
      const input = await shop.addition();
      await operator.queue('addItemToCart', input, { dueAt: inMs(300) });
      const watching = operator.follow(client, input.commandId);
      await watching.ended;
      expect(watching.error).toBeUndefined();
      expectWholeWay(watching.results.map(({ data }) => data));
      expect(server.engine.commandWatch.watched).toEqual({ commands: 0, watchers: 0 });
    });

    test('follows a command over SSE from the queue to its end, and completes', async () => {
      const input = await shop.addition();
      await operator.queue('addItemToCart', input, { dueAt: inMs(300) });
      const sse = createSseClient({ url: server.url, retryAttempts: 0 });
      const seen: (CommandChanged | null | undefined)[] = [];
      const variables = { id: input.commandId };
      for await (const { data } of sse.iterate<CommandChanged>({ query: COMMAND_CHANGED, variables })) seen.push(data);
      expectWholeWay(seen);
      sse.dispose();
    });

    test('shows a command that has ended once, and completes', async () => {
      const { commandId } = receiptOf(await operator.run('addItemToCart', await shop.addition()));
      const watching = operator.follow(client, commandId.toUpperCase());
      await watching.ended;
      expect(watching.results).toMatchObject([{ data: { commandChanged: { status: 'SUCCEEDED' } } }]);
    });

    test('ends when whoever watches has gone', async () => {
      const input = await shop.addition();
      await operator.queue('addItemToCart', input, { dueAt: inMs(HOUR) });
      const watching = operator.follow(client, input.commandId);
      await eventually(() => expect(watching.results).toHaveLength(1));
      expect(server.engine.commandWatch.watched).toEqual({ commands: 1, watchers: 1 });
      watching.stop();
      await eventually(() => expect(server.engine.commandWatch.watched).toEqual({ commands: 0, watchers: 0 }));
      await operator.operate('cancelCommand', { target: input.commandId });
    });

    test.each(['nope', randomUUID()])('finds nothing by the id %s', async (id) => {
      const watching = operator.follow(client, id);
      await watching.ended;
      expect(JSON.stringify(watching.error ?? watching.results)).toContain('NOT_FOUND');
      const sse = createSseClient({ url: server.url, retryAttempts: 0 });
      const variables = { id };
      const answers: unknown[] = [];
      for await (const answer of sse.iterate({ query: COMMAND_CHANGED, variables })) answers.push(answer);
      expect(answers).toMatchObject([{ errors: [{ extensions: { code: 'NOT_FOUND' } }] }]);
      sse.dispose();
    });
  });
});
