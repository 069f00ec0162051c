import { randomUUID } from 'node:crypto';
import { createClient as createSseClient } from 'graphql-sse';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { issueToken } from '../../src/server/authentication.ts';
import {
  COMMAND_CHANGED,
  type CommandChanged,
  commandNode,
  eventually,
  inMs,
  LISTS,
  Operator,
  receiptOf,
} from '../support/operator.ts';
import { mendFaults, plantFault, skipPauses } from '../support/planted-faults.ts';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { socketClient } from '../support/sockets.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';

const SECRET = 'a secret of at least thirty-two bytes';
const IN_AN_HOUR = () => ({ dueAt: inMs(3_600_000) });

describeEachStore('With AUTH_MODE=jwt, what is queued', (kind) => {
  let store: TestStore;
  let server: LocalServer;
  /** Who asks, by their name. */
  const clients = new Map<string, Operator>();
  const as = (name: string) => {
    const client = clients.get(name);
    if (client === undefined) throw new Error(`Nobody is called ${name}.`);
    return client;
  };

  beforeAll(async () => {
    store = await kind.create();
    server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: SECRET });
    const roles = {
      carla: 'customer',
      bob: 'customer',
      visitor: 'guest',
      robot: 'service',
      anna: 'staff',
      root: 'admin',
    };
    for (const [name, role] of Object.entries(roles)) {
      const token = await issueToken(SECRET, role as Parameters<typeof issueToken>[1], name, 3_600);
      clients.set(name, new Operator(server.url, token));
    }
    clients.set('nobody', new Operator(server.url));
    await as('anna').addProduct('A');
  });
  afterEach(mendFaults);
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  /** What a watcher is told of a command over both transports: its status, or the code of the fault. */
  async function watched(name: string, id: string): Promise<string[]> {
    const client = socketClient(server.webSocketUrl, as(name).headers['authorization']);
    const watching = as(name).follow(client, id);
    await Promise.race([watching.ended, eventually(() => expect(watching.results).not.toEqual([]))]);
    const [first] = watching.results;
    const overSocket = [watching.error].flat().concat(first?.errors ?? []);
    await client.dispose();
    const sse = createSseClient({ url: server.url, retryAttempts: 0, headers: as(name).headers });
    const told: string[] = [];
    for await (const { data, errors } of sse.iterate<CommandChanged>({ query: COMMAND_CHANGED, variables: { id } })) {
      told.push(data?.commandChanged.status ?? String(errors?.[0]?.extensions['code']));
      break;
    }
    sse.dispose();
    return [first?.data?.commandChanged.status ?? JSON.stringify(overSocket), ...told];
  }

  describe('by a customer', () => {
    let commandId: string;
    beforeAll(async () => {
      const cartId = await as('carla').newCart();
      commandId = await as('carla').queue('addItemToCart', { cartId, sku: 'A', quantity: 1 }, IN_AN_HOUR());
    });

    test.each(['carla', 'anna', 'root'])('is seen, watched and found by %s', async (name) => {
      expect(await as(name).command(commandId)).toMatchObject({
        status: 'QUEUED',
        actor: { kind: 'CUSTOMER', id: 'carla' },
        input: { sku: 'A' },
      });
      expect(await as(name).node(commandNode(commandId), '')).toMatchObject({ __typename: 'Command' });
      expect(await watched(name, commandId)).toEqual(['QUEUED', 'QUEUED']);
    });

    test.each(['bob', 'visitor', 'robot', 'nobody'])('is not there for %s, however it is asked for', async (name) => {
      expect(await as(name).command(commandId)).toBeNull();
      expect(await as(name).node(commandNode(commandId), '')).toBeNull();
      const [overSocket, overSse] = await watched(name, commandId);
      expect(overSocket).toContain('NOT_FOUND');
      expect(overSse).toBe('NOT_FOUND');
      expect(await as(name).operate('cancelCommand', { target: commandId })).toMatchObject({
        __typename: 'NotFound',
        id: commandId,
      });
      expect((await as('carla').command(commandId))?.status).toBe('QUEUED');
    });

    test('keeps its id to itself: the same one by another is refused, and says nothing of it', async () => {
      const cartId = await as('bob').newCart();
      const input = { cartId, sku: 'A', quantity: 1, commandId };
      for (const outcome of [as('bob').schedule('addItemToCart', input), as('bob').run('addItemToCart', input)]) {
        expect(await outcome).toMatchObject({ __typename: 'CommandIdReused', receipt: null });
      }
    });
  });

  test.each([
    ['carla', 'carla'],
    ['visitor', 'visitor'],
    ['nobody', 'nobody'],
    ['carla', 'anna'],
    ['carla', 'root'],
    ['nobody', 'anna'],
  ])('by %s is taken back by %s', async (sender, canceller) => {
    const cartId = await as(sender).newCart();
    const target = await as(sender).queue('addItemToCart', { cartId, sku: 'A', quantity: 1 }, IN_AN_HOUR());
    expect(await as(canceller).operate('cancelCommand', { target })).toMatchObject({
      __typename: 'CommandPayload',
      command: { status: 'CANCELLED' },
    });
    expect((await as(sender).command(target))?.status).toBe('CANCELLED');
  });

  test('is refused at once to whoever may not do it, and is not stored', async () => {
    const commandId = randomUUID();
    const price = { amountMinor: 1, currency: 'GBP' };
    const input = { sku: 'X', name: 'X', price, stock: 1, commandId };
    for (const name of ['nobody', 'visitor', 'carla', 'robot']) {
      expect(await as(name).schedule('addProduct', input)).toMatchObject({ __typename: 'Forbidden', receipt: null });
    }
    expect(await as('anna').command(commandId)).toBeNull();
    await as('anna').queue('addProduct', input);
    await as('anna').untilStatus(commandId, 'SUCCEEDED');
  });

  test("for another's cart finds none when it is run", async () => {
    const cartId = await as('carla').newCart();
    const commandId = await as('bob').queue('addItemToCart', { cartId, sku: 'A', quantity: 1 });
    const { rejection, events } = await as('bob').untilStatus(commandId, 'REJECTED');
    expect([rejection, events]).toMatchObject([{ code: 'NOT_FOUND' }, []]);
  });

  test.each(['nobody', 'visitor', 'carla', 'robot'])('is listed for staff, not for %s', async (name) => {
    for (const [field, query] of Object.entries(LISTS)) {
      const { data, errors } = await as(name).ask<Record<string, unknown>>(query);
      expect(data?.[field] ?? null).toBeNull();
      expect(errors?.map(({ extensions }) => extensions?.code)).toEqual(['FORBIDDEN']);
      expect((await as('anna').ask(query)).errors).toBeUndefined();
    }
  });

  test('and failed is for staff to look after; whoever sent it is told no more than that', async () => {
    const cartId = await as('carla').newCart();
    const fault = await plantFault(server.database, 'events', `NEW.data->>'sku' = 'A'`);
    const commandId = await as('carla').queue('addItemToCart', { cartId, sku: 'A', quantity: 1 });
    await eventually(async () => {
      await skipPauses(server);
      expect((await as('carla').command(commandId))?.status).toBe('FAILED');
    });
    expect((await as('carla').command(commandId))?.error).toBe('Something broke inside.');
    expect((await as('anna').command(commandId))?.error).toContain('a planted fault');
    const [letter] = await as('anna').deadLetters('command');
    const deadLetterId = letter?.id ?? '';
    expect(letter?.subject).toBe(commandId);

    for (const name of ['nobody', 'visitor', 'carla', 'robot']) {
      expect(await as(name).node(deadLetterId, '')).toBeNull();
      const forbidden = { __typename: 'Forbidden', receipt: null };
      expect(await as(name).operate('retryDeadLetter', { deadLetterId })).toMatchObject(forbidden);
      expect(await as(name).operate('dropDeadLetter', { deadLetterId, reason: 'mine' })).toMatchObject(forbidden);
      expect(await as(name).operate('retryDeadLetters', { source: 'command' })).toMatchObject(forbidden);
    }
    expect(await as('anna').node(deadLetterId, '... on DeadLetter { status }')).toMatchObject({ status: 'OPEN' });
    await fault.mend();
    expect(await as('anna').operate('retryDeadLetter', { deadLetterId })).toMatchObject({
      __typename: 'DeadLetterPayload',
    });
    expect(await as('carla').untilStatus(commandId, 'SUCCEEDED')).toMatchObject({ error: null });
  });

  test('and what processes send is for staff', async () => {
    const carla = as('carla');
    const { correlationId } = receiptOf(await carla.run('createCart', {}));
    const watch = await eventually(async () => {
      const [found] = await as('anna').processes(correlationId);
      if (found === undefined) throw new Error('Nobody watches the cart yet.');
      return found;
    });
    expect(await as('anna').node(watch.id, '... on ProcessInstance { process }')).toMatchObject({
      process: 'abandoned-carts',
    });
    const { nodes } = await as('anna').commands({ filter: { correlationId, name: ['abandoned-carts.timer'] } });
    const [timer] = nodes;
    expect(timer).toMatchObject({ actor: { kind: 'PROCESS', id: 'abandoned-carts' }, status: 'QUEUED' });
    for (const name of ['nobody', 'carla']) {
      expect(await as(name).node(watch.id, '')).toBeNull();
      expect(await as(name).command(timer?.commandId ?? '')).toBeNull();
    }
  });
});
