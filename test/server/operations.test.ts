import { randomUUID } from 'node:crypto';
import type { Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { commandRow, insertCommands } from '../support/command-rows.ts';
import { commandNode, eventually, inMs, LISTS, Operator, processNode, rawId, receiptOf } from '../support/operator.ts';
import { mendFaults, skipPauses } from '../support/planted-faults.ts';
import { ServedShop } from '../support/served-shop.ts';
import type { LocalServer } from '../support/servers.ts';
import type { Input } from '../support/shop.ts';
import { describeEachStore } from '../support/stores.ts';

const HOUR = 3_600_000;

describeEachStore('Operators, and whoever sent a command', (kind) => {
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

  describe('The list of commands', () => {
    test('has those that all of a filter fits', async () => {
      const correlationId = randomUUID();
      const sender = new Operator(server.url, undefined, correlationId);
      const cartId = await sender.newCart();
      const aggregateId = rawId(cartId);
      const added = await sender.addItem(cartId, 'A');
      const rejected = await sender.addItem(cartId, 'MISSING');
      const waiting = await sender.queue('clearCart', { cartId }, { dueAt: inMs(HOUR) });
      const [addedId, rejectedId] = [receiptOf(added).commandId, receiptOf(rejected).commandId];
      // A process that watches the cart has the same id.
      const ofShops = ['CreateCart', 'AddItemToCart', 'ClearCart'];
      const list = async (filter: Input) =>
        (await operator.commands({ filter: { name: ofShops, ...filter } })).nodes.map((it) => it.commandId);

      const all = await list({ aggregateId });
      expect(all).toHaveLength(4);
      expect(all.slice(0, 3)).toEqual([waiting, rejectedId, addedId]);
      expect(await list({ aggregateId, status: ['QUEUED'] })).toEqual([waiting]);
      expect(await list({ aggregateId, status: ['QUEUED', 'REJECTED'] })).toEqual([waiting, rejectedId]);
      expect(await list({ aggregateId, status: [] })).toEqual([]);
      expect(await list({ aggregateId, name: ['AddItemToCart'] })).toEqual([rejectedId, addedId]);
      expect(await list({ aggregateId, name: ['AddItemToCart', 'ClearCart'], status: ['SUCCEEDED'] })).toEqual([
        addedId,
      ]);
      expect(await list({ aggregateId, name: [] })).toEqual([]);
      expect(await list({ aggregateId: cartId })).toEqual(all);
      expect(await list({ correlationId })).toEqual(all);
      expect(await list({ correlationId: randomUUID() })).toEqual([]);
      expect(await list({ correlationId: 'garbage' })).toEqual([]);

      const { submittedAt } = (await operator.command(rejectedId ?? '')) ?? { submittedAt: '' };
      expect(await list({ aggregateId, from: submittedAt })).toEqual([waiting, rejectedId]);
      const earlier = await list({ aggregateId, to: submittedAt });
      expect(earlier).toEqual(all.filter((id) => ![waiting, rejectedId].includes(id)));
      expect(await list({ aggregateId, from: submittedAt, to: submittedAt })).toEqual([]);
      await operator.operate('cancelCommand', { target: waiting });
      expect(await list({ aggregateId, status: ['CANCELLED'] })).toEqual([waiting]);
    });

    test('shows what is under way as RUNNING', async () => {
      const { mergeId, fault, into } = await shop.heldMerge();
      const running = { filter: { status: ['RUNNING'], aggregateId: rawId(into) } };
      expect((await operator.commands(running)).nodes).toMatchObject([{ commandId: mergeId, finishedAt: null }]);
      await fault.mend();
      await eventually(async () => {
        await skipPauses(server);
        expect((await operator.commands(running)).nodes).toEqual([]);
      });
    });

    test('is read page by page, forward and backward, also where many came at the same instant', async () => {
      const cartId = await operator.newCart();
      const filter = { aggregateId: rawId(cartId), name: ['ClearCart'] };
      const sent = await Promise.all(
        Array.from({ length: 7 }, () => operator.queue('clearCart', { cartId }, { dueAt: inMs(HOUR) })),
      );
      const { nodes, totalCount } = await operator.commands({ filter });
      const all = nodes.map(({ commandId }) => commandId);
      expect([...all].sort()).toEqual([...sent].sort());
      expect(totalCount).toBe(7);

      const forward: string[][] = [];
      for (let after: string | null = null, more = true; more; ) {
        const page = await operator.commands({ filter, first: 3, after });
        forward.push(page.nodes.map(({ commandId }) => commandId));
        expect(page.edges.map(({ cursor }) => cursor).at(-1)).toBe(page.pageInfo.endCursor);
        expect(page.pageInfo.hasPreviousPage).toBe(after !== null);
        [after, more] = [page.pageInfo.endCursor, page.pageInfo.hasNextPage];
      }
      expect(forward).toEqual([all.slice(0, 3), all.slice(3, 6), all.slice(6)]);

      const backward: string[][] = [];
      for (let before: string | null = null, more = true; more; ) {
        const page = await operator.commands({ filter, last: 3, before });
        backward.push(page.nodes.map(({ commandId }) => commandId));
        expect(page.pageInfo.hasNextPage).toBe(before !== null);
        [before, more] = [page.pageInfo.startCursor, page.pageInfo.hasPreviousPage];
      }
      expect(backward).toEqual([all.slice(4), all.slice(1, 4), all.slice(0, 1)]);
    });

    test('gives no more than 100 at once, and counts to 1,000', async () => {
      const many = randomUUID();
      const rows = Array.from({ length: 1_000 }, () => commandRow({ aggregate_id: many }));
      await insertCommands(server.database.log, ...rows);
      const filter = { aggregateId: many };
      for (const page of [{ first: 101 }, { first: 2_000_000_000 }, { last: 101 }]) {
        const { nodes, totalCount, pageInfo } = await operator.commands({ filter, ...page });
        expect([nodes.length, totalCount]).toEqual([100, 1_000]);
        expect(pageInfo.hasNextPage || pageInfo.hasPreviousPage).toBe(true);
      }
      expect((await operator.commands({ filter })).nodes).toHaveLength(20);
      expect((await operator.commands({ filter, first: 0 })).nodes).toEqual([]);
      await insertCommands(server.database.log, commandRow({ aggregate_id: many }));
      expect((await operator.commands({ filter })).totalCount).toBeNull();
    });

    test.each([
      ['a cursor that is none', { after: 'garbage' }],
      ['an empty cursor', { before: '' }],
      ['a cursor of another list', { after: cursor('deadLetters', inMs(0), randomUUID()) }],
      ['a cursor with too little', { after: cursor('commands', inMs(0)) }],
      ['a cursor with too much', { after: cursor('commands', inMs(0), randomUUID(), 1) }],
      ['a cursor with what does not fit', { before: cursor('commands', 'yesterday', randomUUID()) }],
      ['a cursor with an id that is none', { before: cursor('commands', inMs(0), `' OR true --`) }],
      ['a negative page', { first: -1 }],
      ['a negative page from the end', { last: -1 }],
      ['too many names', { filter: { name: Array.from({ length: 101 }, () => 'AddItemToCart') } }],
      ['a status that there is not', { filter: { status: ['DONE'] } }],
      ['an instant that is none', { filter: { from: 'yesterday' } }],
    ])('refuses %s', async (_, variables) => {
      const { errors } = await operator.ask(LISTS.commands, variables);
      expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['BAD_USER_INPUT']);
    });

    test('says what a name might have meant that there is not', async () => {
      const messages = async (...name: string[]) =>
        (await operator.ask(LISTS.commands, { filter: { name } })).errors?.map(({ message }) => message);
      expect(await messages('AddItemToCard')).toEqual([
        'There is no command "AddItemToCard". Did you mean AddItemToCart?',
      ]);
      expect(await messages('AddItemToCart', '\u0000')).toEqual(['There is no command "\\u0000".']);
    });

    test.each(['0000-01-01T00:00:00Z', '9999-12-31T23:59:59-23:59'])(
      'is not confused by instants and texts that no database holds: %s',
      async (instant) => {
        const filter = { aggregateId: randomUUID(), from: instant, to: instant };
        expect((await operator.commands({ filter })).totalCount).toBe(0);
        expect((await operator.commands({ filter: { aggregateId: '\u0000' } })).nodes).toEqual([]);
      },
    );
  });

  test('Processes are listed page by page, by their status and by what began them', async () => {
    const correlationId = randomUUID();
    const sender = new Operator(server.url, undefined, correlationId);
    const carts = await Promise.all(Array.from({ length: 3 }, () => sender.newCart()));
    const all = await eventually(async () => {
      const found = await operator.processes(correlationId);
      expect(found).toHaveLength(3);
      return found.map(({ id }) => id);
    });
    expect([...all].sort()).toEqual(carts.map((id) => processNode('abandoned-carts', rawId(id))).sort());
    const list = async (variables: Input) => {
      const { nodes, pageInfo, totalCount } = await operator.processPage({ correlationId, ...variables });
      return { ids: nodes.map(({ id }) => id), totalCount, ...pageInfo };
    };
    const first = await list({ first: 2, status: ['RUNNING'] });
    expect(first).toMatchObject({ ids: all.slice(0, 2), hasNextPage: true, hasPreviousPage: false, totalCount: 3 });
    expect(await list({ first: 2, after: first.endCursor })).toMatchObject({ ids: all.slice(2), hasNextPage: false });
    expect(await list({ last: 2 })).toMatchObject({ ids: all.slice(1), hasPreviousPage: true });
    expect((await list({ status: ['COMPLETED', 'COMPENSATED'] })).ids).toEqual([]);
    expect((await list({ status: ['RUNNING', 'COMPLETED'] })).ids).toEqual(all);
    const wrongs = [{ first: -1 }, { after: 'garbage' }, { after: cursor('processes', 'one') }, { status: ['DONE'] }];
    for (const wrong of wrongs) {
      const { errors } = await operator.ask(LISTS.processes, wrong);
      expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['BAD_USER_INPUT']);
    }
  });

  describe('cancelCommand', () => {
    test('takes a command back: it never runs', async () => {
      const cartId = await operator.newCart();
      const dueAt = inMs(300);
      const target = await operator.queue('addItemToCart', { cartId, sku: 'A', quantity: 1 }, { dueAt });
      const later = await operator.queue('addItemToCart', { cartId, sku: 'B', quantity: 1 }, { dueAt });
      const watching = operator.follow(client, target);
      const commandId = randomUUID();
      const cancelled = await operator.operate('cancelCommand', { commandId, target: target.toUpperCase() });
      expect(cancelled).toMatchObject({
        __typename: 'CommandPayload',
        command: { commandId: target, status: 'CANCELLED', attempts: 0, events: [], finishedAt: expect.any(String) },
        receipt: { commandId, status: 'SUCCEEDED', replayed: false },
      });
      await watching.ended;
      expect(watching.results.at(-1)?.data?.commandChanged.status).toBe('CANCELLED');
      await operator.untilStatus(later, 'SUCCEEDED');
      expect((await operator.cart(cartId))?.lines).toMatchObject([{ sku: 'B' }]);
      expect(await operator.command(target)).toMatchObject({ status: 'CANCELLED', events: [] });
      expect(await operator.run('addItemToCart', { cartId, sku: 'A', quantity: 1, commandId: target })).toMatchObject({
        __typename: 'CommandNotDone',
        receipt: { status: 'CANCELLED', replayed: true },
      });

      const again = await operator.operate('cancelCommand', { commandId, target: target.toUpperCase() });
      expect(again).toEqual({ ...cancelled, receipt: { ...cancelled.receipt, replayed: true } });
      expect(await operator.operate('cancelCommand', { target })).toMatchObject({
        __typename: 'IllegalState',
        state: 'CANCELLED',
      });
      const { events } = (await operator.command(commandId)) ?? {};
      expect(events).toMatchObject([{ type: 'CommandCancelled' }]);
    });

    test('is too late for a command that has ended, and says so again', async () => {
      const done = receiptOf(await operator.run('addItemToCart', await shop.addition())).commandId;
      const rejected = receiptOf(
        await operator.run('addItemToCart', await shop.addition({ sku: 'MISSING' })),
      ).commandId;
      for (const [target, state] of [
        [done, 'SUCCEEDED'],
        [rejected, 'REJECTED'],
      ]) {
        const input = { target, commandId: randomUUID() };
        const refused = { __typename: 'IllegalState', state };
        expect(await operator.operate('cancelCommand', input)).toMatchObject({
          ...refused,
          receipt: { replayed: false },
        });
        expect(await operator.operate('cancelCommand', input)).toMatchObject({
          ...refused,
          receipt: { replayed: true },
        });
      }
    });

    test('is too late for a command that a process is at work for', async () => {
      const { mergeId, fault } = await shop.heldMerge();
      expect(await operator.operate('cancelCommand', { target: mergeId })).toMatchObject({
        __typename: 'IllegalState',
        state: 'RUNNING',
      });
      await fault.mend();
      await shop.hurry(mergeId, 'SUCCEEDED');
    });

    test('of a command that a process sent gives the process its refusal', async () => {
      const { mergeId, from, into, fault } = await shop.heldMerge();
      const { commandId: target } = await shop.sentFor(mergeId, 'HandOverCartLines');
      await eventually(async () =>
        expect((await operator.operate('cancelCommand', { target })).__typename).toBe('CommandPayload'),
      );
      const merge = await operator.untilStatus(mergeId, 'REJECTED');
      expect(merge.rejection).toMatchObject({ code: 'ILLEGAL_STATE', state: 'CANCELLED' });
      expect(await operator.cart(from)).toMatchObject({ status: 'OPEN', itemCount: 3 });
      expect(await operator.cart(into)).toMatchObject({ status: 'OPEN', itemCount: 0 });
      await fault.mend();
    });

    test('takes no input of a process', async () => {
      const { cartId } = await shop.addition();
      const timer = await eventually(async () => {
        const filter = { aggregateId: rawId(cartId), name: ['abandoned-carts.timer'], status: ['QUEUED'] };
        const [found] = (await operator.commands({ filter })).nodes;
        if (found === undefined) throw new Error('The time of the cart has not begun.');
        return found;
      });
      expect(await operator.operate('cancelCommand', { target: timer.commandId })).toMatchObject({
        __typename: 'IllegalState',
        state: 'QUEUED',
      });
      expect((await operator.command(timer.commandId))?.status).toBe('QUEUED');
    });

    test('finds no command that there is not', async () => {
      const target = randomUUID();
      expect(await operator.operate('cancelCommand', { target })).toMatchObject({ __typename: 'NotFound', id: target });
      expect(await operator.operate('cancelCommand', { target: 'nope' })).toMatchObject({
        __typename: 'ValidationFailed',
        fields: [{ path: ['target'] }],
      });
    });
  });

  test('Everything has an id of its own among all types', async () => {
    const fault = await shop.breakSku();
    const { cartId } = await shop.addition();
    const [commandId = ''] = await shop.failing(cartId, 0);
    const letter = await shop.letterOf(commandId);
    const filter = { aggregateId: cartId, name: ['CreateCart'] };
    const { correlationId } = (await operator.commands({ filter })).nodes[0] ?? { correlationId: '' };
    const watch = await eventually(async () => {
      const [found] = await operator.processes(correlationId);
      if (found === undefined) throw new Error('Nobody watches the cart yet.');
      return found;
    });
    const node = (id: string, fields: string) => operator.node<Record<string, unknown>>(id, fields);
    expect(await node(commandNode(commandId), '... on Command { commandId status }')).toEqual({
      __typename: 'Command',
      id: commandNode(commandId),
      commandId,
      status: 'FAILED',
    });
    expect(await node(letter.id, '... on DeadLetter { subject waitingBehind }')).toEqual({
      __typename: 'DeadLetter',
      id: letter.id,
      subject: commandId,
      waitingBehind: 0,
    });
    expect(await node(watch.id, '... on ProcessInstance { process status }')).toEqual({
      __typename: 'ProcessInstance',
      id: watch.id,
      process: 'abandoned-carts',
      status: 'RUNNING',
    });
    for (const type of ['Command', 'DeadLetter', 'ProcessInstance']) {
      for (const raw of [randomUUID(), 'nope']) {
        expect(await node(Buffer.from(`${type}:${raw}`).toString('base64url'), '')).toBeNull();
      }
    }
    await fault.mend();
    await operator.operate('retryDeadLetter', { deadLetterId: letter.id });
    await operator.untilStatus(commandId, 'SUCCEEDED');
  });
});

/** A cursor as a list would give it. */
function cursor(...values: readonly unknown[]): string {
  return Buffer.from(JSON.stringify(values)).toString('base64url');
}
