import { randomUUID } from 'node:crypto';
import type { Client } from 'graphql-ws';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { commandNode, type DeadLetterView, eventually, type Operator, type Page, rawId } from '../support/operator.ts';
import { mendFaults, plantFault, skipPauses } from '../support/planted-faults.ts';
import { BROKEN, ServedShop } from '../support/served-shop.ts';
import type { LocalServer } from '../support/servers.ts';
import { describeEachStore } from '../support/stores.ts';

describeEachStore('What failed for good', (kind) => {
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

  describe('A dead letter', () => {
    test('holds up its cart until it is retried; then what waits follows in order', async () => {
      const fault = await shop.breakSku();
      const { cartId } = await shop.addition();
      const watched = randomUUID();
      await operator.queue('addItemToCart', { cartId, sku: BROKEN, quantity: 1, commandId: watched });
      const watching = operator.follow(client, watched);
      const second = await operator.queue('addItemToCart', { cartId, sku: 'B', quantity: 1 });
      const third = await operator.queue('addItemToCart', { cartId, sku: 'C', quantity: 1 });
      const failed = await shop.hurry(watched, 'FAILED');
      expect(failed).toMatchObject({ attempts: 8, events: [], error: expect.stringContaining('a planted fault') });

      const letter = await shop.letterOf(watched, 'command');
      expect(letter).toMatchObject({
        source: 'command',
        payload: { command: 'AddItemToCart', input: { cartId: rawId(cartId), sku: BROKEN, quantity: 1 } },
        error: expect.stringContaining('a planted fault'),
        attempts: 8,
        failedAt: expect.any(String),
        waitingBehind: 2,
        status: 'OPEN',
        droppedReason: null,
      });
      expect(await operator.deadLetters('process:merging-carts')).toEqual([]);
      expect(await operator.deadLetters('no such source')).toEqual([]);
      expect((await operator.deadLetters()).map(({ id }) => id)).toContain(letter.id);
      // Only that one cart waits, and only what is queued for it.
      await operator.untilStatus(await operator.queue('addItemToCart', await shop.addition()), 'SUCCEEDED');
      expect((await operator.addItem(cartId, 'A', 1)).__typename).toBe('CartPayload');
      expect((await operator.command(second))?.status).toBe('QUEUED');
      expect(await operator.operate('cancelCommand', { target: watched })).toMatchObject({
        __typename: 'IllegalState',
        state: 'FAILED',
      });

      await fault.mend();
      const input = { deadLetterId: letter.id, commandId: randomUUID() };
      const retried = await operator.operate('retryDeadLetter', input);
      expect(retried).toMatchObject({
        __typename: 'DeadLetterPayload',
        deadLetter: { id: letter.id, status: 'RETRIED', waitingBehind: 0 },
        receipt: { status: 'SUCCEEDED', replayed: false },
      });
      await operator.untilStatus(third, 'SUCCEEDED');
      expect((await operator.cart(cartId))?.lines.map(({ sku }) => sku)).toEqual(['A', BROKEN, 'B', 'C']);
      await watching.ended;
      const statuses = watching.results.map(({ data }) => data?.commandChanged.status);
      expect(statuses).toContain('FAILED');
      expect(statuses.at(-1)).toBe('SUCCEEDED');
      expect(await operator.command(watched)).toMatchObject({ error: null, attempts: 1, events: [{ version: 3 }] });
      expect(await operator.operate('retryDeadLetter', input)).toMatchObject({ receipt: { replayed: true } });
      expect(await operator.operate('retryDeadLetter', { deadLetterId: letter.id })).toMatchObject({
        __typename: 'IllegalState',
        state: 'RETRIED',
      });
      expect(await operator.deadLetters('command')).toEqual([]);
    });

    test('is open again when it fails again, with its attempts added up', async () => {
      const fault = await shop.breakSku();
      const { cartId } = await shop.addition();
      const [failed = ''] = await shop.failing(cartId, 0);
      const { id, failedAt } = await shop.letterOf(failed);
      expect(await operator.operate('retryDeadLetter', { deadLetterId: id })).toMatchObject({
        __typename: 'DeadLetterPayload',
      });
      await shop.hurry(failed, 'FAILED');
      const again = await shop.letterOf(failed);
      expect(again).toMatchObject({ id, status: 'OPEN', attempts: 16 });
      expect(again.failedAt > failedAt).toBe(true);
      await fault.mend();
      await operator.operate('retryDeadLetter', { deadLetterId: id });
      await operator.untilStatus(failed, 'SUCCEEDED');
    });

    test('is dropped with a reason: its command never runs, what waits goes on', async () => {
      const fault = await shop.breakSku();
      const { cartId } = await shop.addition();
      const [failed = '', behind = ''] = await shop.failing(cartId, 1);
      const { id } = await shop.letterOf(failed);
      for (const reason of ['', '  ', 'x'.repeat(501), '\u0000']) {
        expect(await operator.operate('dropDeadLetter', { deadLetterId: id, reason })).toMatchObject({
          __typename: 'ValidationFailed',
          fields: [{ path: ['reason'] }],
        });
      }
      const input = { deadLetterId: id, reason: ' Nobody wants it. ', commandId: randomUUID() };
      expect(await operator.operate('dropDeadLetter', input)).toMatchObject({
        __typename: 'DeadLetterPayload',
        deadLetter: { status: 'DROPPED', droppedReason: 'Nobody wants it.', waitingBehind: 0 },
        receipt: { replayed: false },
      });
      await operator.untilStatus(behind, 'SUCCEEDED');
      await fault.mend();
      expect(await operator.cart(cartId)).toMatchObject({ version: 2, lines: [{ sku: 'A' }] });
      expect(await operator.command(failed)).toMatchObject({ status: 'FAILED', events: [] });
      expect(await operator.operate('dropDeadLetter', input)).toMatchObject({ receipt: { replayed: true } });
      expect(await operator.operate('retryDeadLetter', { deadLetterId: id })).toMatchObject({
        __typename: 'IllegalState',
        state: 'DROPPED',
      });
      expect(await operator.deadLetters('command')).toEqual([]);
    });

    test('is retried with all of its source, and the number is the same when that is asked again', async () => {
      const fault = await shop.breakSku();
      const carts = await Promise.all(Array.from({ length: 3 }, () => operator.newCart()));
      const failed = await Promise.all(carts.map(async (cartId) => (await shop.failing(cartId, 0))[0] ?? ''));
      await fault.mend();
      const pages: Page<DeadLetterView>[] = [];
      for (let after: string | null = null, more = true; more; ) {
        const page: Page<DeadLetterView> = await operator.deadLetterPage({ source: 'command', first: 2, after });
        pages.push(page);
        [after, more] = [page.pageInfo.endCursor, page.pageInfo.hasNextPage];
      }
      const listed = pages.map(({ nodes }) => nodes.map(({ subject }) => subject));
      expect(listed.map(({ length }) => length)).toEqual([2, 1]);
      expect(listed.flat().sort()).toEqual([...failed].sort());
      expect(pages[0]?.totalCount).toBe(3);

      const input = { source: 'command', commandId: randomUUID() };
      const other = await operator.operate('retryDeadLetters', { source: 'projection:cart.carts' });
      expect(other).toMatchObject({ __typename: 'DeadLettersPayload', count: 0 });
      const retried = await operator.operate('retryDeadLetters', input);
      expect(retried).toMatchObject({ __typename: 'DeadLettersPayload', count: 3, receipt: { replayed: false } });
      for (const commandId of failed) await operator.untilStatus(commandId, 'SUCCEEDED');
      expect(await operator.operate('retryDeadLetters', input)).toMatchObject({
        count: 3,
        receipt: { replayed: true },
      });
      expect(await operator.operate('retryDeadLetters', { source: 'command' })).toMatchObject({ count: 0 });
      const unknown = await operator.operate('retryDeadLetters', { source: 'projection:cart.cart' });
      expect(unknown).toMatchObject({ __typename: 'NotFound', id: 'projection:cart.cart' });
      expect(unknown.message).toContain('"projection:cart.cart"');
      expect(await operator.operate('retryDeadLetters', { source: '' })).toMatchObject({
        __typename: 'ValidationFailed',
        fields: [{ path: ['source'] }],
      });
    });

    test('of a command that a process sent: dropped, the process makes up for it', async () => {
      const { mergeId, from, into, fault } = await shop.heldMerge();
      const { commandId } = await shop.sentFor(mergeId, 'HandOverCartLines');
      await shop.hurry(commandId, 'FAILED');
      const letter = await shop.letterOf(commandId, 'command');
      expect(letter.payload).toMatchObject({ command: 'HandOverCartLines' });
      await operator.operate('dropDeadLetter', { deadLetterId: letter.id, reason: 'The cart is broken.' });
      const merge = await operator.untilStatus(mergeId, 'REJECTED');
      expect(merge.rejection).toMatchObject({ code: 'ILLEGAL_STATE', state: 'DROPPED' });
      const correlationId = await shop.correlationOf(mergeId);
      await eventually(async () =>
        expect(await operator.processes(correlationId)).toMatchObject([
          {
            process: 'merging-carts',
            status: 'COMPENSATED',
            steps: [
              { name: 'hand over', status: 'WAITING' },
              { name: 'hand over', status: 'FAILED' },
            ],
          },
        ]),
      );
      expect(await operator.cart(from)).toMatchObject({ status: 'OPEN', itemCount: 3 });
      expect(await operator.cart(into)).toMatchObject({ itemCount: 0 });
      await fault.mend();
    });

    test('of an input of a process has a source of its own, and goes on where it stopped', async () => {
      const [from, into] = [await operator.newCart(), await operator.newCart()];
      await operator.addItem(from, 'A', 3);
      const mergeId = randomUUID();
      const fault = await plantFault(
        server.database,
        'events',
        `NEW.type = 'MergeLinesHandedOver' AND NEW.aggregate_id = '${mergeId}'`,
      );
      const merge = { commandId: mergeId, fromCartId: from, intoCartId: into };
      await operator.queue('mergeCarts', merge);
      const source = 'process:merging-carts';
      const letter = await eventually(async () => {
        await skipPauses(server);
        const [found] = await operator.deadLetters(source);
        if (found === undefined) throw new Error('Nothing has failed yet.');
        return found;
      });
      expect(letter).toMatchObject({ source, attempts: 8, payload: { command: 'merging-carts.message' } });
      expect((await operator.command(mergeId))?.status).toBe('RUNNING');
      expect((await operator.cart(from))?.status).toBe('MERGING');
      expect((await operator.addItem(from, 'A', 1)).state).toBe('MERGING');
      await fault.mend();
      expect(await operator.operate('retryDeadLetters', { source })).toMatchObject({ count: 1 });
      await operator.untilStatus(mergeId, 'SUCCEEDED');
      expect(await operator.run('mergeCarts', merge)).toMatchObject({
        __typename: 'CartPayload',
        cart: { itemCount: 3 },
        receipt: { replayed: true },
      });
    });

    test('that there is not is not found', async () => {
      const unknown = Buffer.from(`DeadLetter:${randomUUID()}`).toString('base64url');
      const reason = 'none';
      expect(await operator.operate('retryDeadLetter', { deadLetterId: unknown })).toMatchObject({
        __typename: 'NotFound',
        id: unknown,
      });
      expect(await operator.operate('dropDeadLetter', { deadLetterId: unknown, reason })).toMatchObject({
        __typename: 'NotFound',
        id: unknown,
      });
      for (const deadLetterId of ['nope', commandNode(randomUUID())]) {
        expect(await operator.operate('retryDeadLetter', { deadLetterId })).toMatchObject({
          __typename: 'ValidationFailed',
          fields: [{ path: ['deadLetterId'] }],
        });
      }
    });

    test('keeps its stack to itself', async () => {
      const stacks = await server.database.log.query('SELECT stack FROM dead_letters WHERE stack IS NOT NULL');
      // Otherwise there would be nothing to keep.
      expect(JSON.stringify(stacks)).toMatch(STACK);
      const told = operator.answers.filter((it) => it.includes('a planted fault'));
      expect(told).not.toEqual([]);
      expect(operator.answers.filter((it) => STACK.test(it))).toEqual([]);
    });
  });
});

/** A line of a stack, as JSON has it. */
const STACK = /\bat \S+ \(|\bat [^"]*:\d+:\d+|node:internal/;
