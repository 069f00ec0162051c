import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { createClient } from 'graphql-ws';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { send } from './support/requests.ts';
import { OWN_SIMULATORS, type ServerProcess, startServerProcess } from './support/servers.ts';
import { storeKinds, type TestStore } from './support/stores.ts';

// What the README tells a stranger to do works as it stands, against a server as `npm start` starts it.

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const blocks = (language: string) =>
  [...readme.matchAll(/```(\w+)\n([\s\S]*?)```/g)].filter(([, it]) => it === language).map(([, , text = '']) => text);
const operation = (name: string) =>
  blocks('graphql').find((text) => new RegExp(`(query|mutation|subscription) ${name}\\b`).test(text)) ?? '';
const run = promisify(execFile);

let store: TestStore;
let server: ServerProcess;

beforeAll(async () => {
  const [embedded] = storeKinds;
  if (embedded === undefined) throw new Error('There is no store to test with.');
  store = await embedded.create();
  server = await startServerProcess(store, [], OWN_SIMULATORS);
});

afterAll(async () => {
  await server.stop();
  await store.remove();
});

it('shows the first cart live, with the operations of the README', async () => {
  expect(await send(server.url, operation('NewCart'))).toMatchObject({
    data: { createCart: { cart: { version: 1 } } },
  });

  const client = createClient({ url: server.webSocketUrl, webSocketImpl: WebSocket });
  const changes = client.iterate<Record<string, unknown>>({ query: operation('LiveCart') });
  expect((await changes.next()).value).toMatchObject({ data: { cartChanged: { cart: { itemCount: 0 }, events: [] } } });

  expect(await send(server.url, operation('AddItem'))).toMatchObject({
    data: { addItemToCart: { cart: { version: 2 } } },
  });
  expect((await changes.next()).value).toMatchObject({
    data: { cartChanged: { cart: { itemCount: 2 }, events: [{ type: 'ItemAddedToCart', payload: { quantity: 2 } }] } },
  });
  await changes.return?.();
  await client.dispose();
});

it('runs the queued change of the README, and shows operators what was done', async () => {
  const { data } = await send<{ addItemToCart: { receipt: { commandId: string } } }, never>(
    server.url,
    operation('AddInBackground'),
  );
  expect(data).toMatchObject({ addItemToCart: { receipt: { status: 'QUEUED' } } });
  const { commandId } = data?.addItemToCart.receipt ?? { commandId: '' };
  const client = createClient({ url: server.webSocketUrl, webSocketImpl: WebSocket });
  const query = 'subscription ($id: ID!) { commandChanged(commandId: $id) { status } }';
  const seen: unknown[] = [];
  for await (const payload of client.iterate({ query, variables: { id: commandId } })) seen.push(payload.data);
  expect(seen.at(-1)).toEqual({ commandChanged: { status: 'SUCCEEDED' } });
  await client.dispose();

  expect(await send(server.url, operation('Operations'))).toMatchObject({
    data: {
      commands: { nodes: expect.arrayContaining([expect.objectContaining({ name: 'AddItemToCart', attempts: 1 })]) },
      processes: { nodes: [{ process: 'abandoned-carts', status: 'RUNNING', steps: [{ status: 'WAITING' }] }] },
      deadLetters: { nodes: [] },
    },
  });
});

it('takes the cart to the door, with the operations of the README', async () => {
  expect(await send(server.url, operation('CheckOut'))).toMatchObject({
    data: { checkOutCart: { order: { status: 'PLACED' } } },
  });
  const client = createClient({ url: server.webSocketUrl, webSocketImpl: WebSocket });
  const changes = client.iterate<Record<string, unknown>>({ query: operation('LiveOrder') });
  expect((await changes.next()).value).toMatchObject({ data: { orderChanged: { order: { payments: [] } } } });
  expect(await send(server.url, operation('Pay'))).toMatchObject({ data: { payOrder: { order: { status: 'PAID' } } } });
  for await (const change of changes) {
    if (JSON.stringify(change).includes('"status":"DELIVERED","statusReason"')) break;
  }
  await client.dispose();
}, 60_000);

it('answers the commands of the README', { timeout: 120_000 }, async () => {
  const commands = blocks('sh').filter((text) => text.includes('127.0.0.1:4000'));
  expect(commands).toHaveLength(2);
  for (const command of commands) {
    const here = command.replaceAll('http://127.0.0.1:4000/graphql', server.url);
    const { stdout } = await run('bash', ['-c', here], { cwd: new URL('..', import.meta.url) });
    expect(stdout).toMatch(command.startsWith('curl') ? /"sku":"\d+/ : /62 carts/);
  }
});

it('names files that are there', () => {
  const links = [...readme.matchAll(/\]\((?!http)([^)#]+)\)/g)].map(([, path = '']) => path);
  expect(links.length).toBeGreaterThan(5);
  for (const path of links)
    expect(() =>
      readFileSync(new URL(`../${path}${path.includes('.') ? '' : '/README.md'}`, import.meta.url)),
    ).not.toThrow();
});
