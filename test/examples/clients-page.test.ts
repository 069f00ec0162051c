import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildSchema, parse, validate } from 'graphql';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { createPlainShop } from '../../examples/plain/shop.ts';
import { startLocalServer } from '../support/servers.ts';
import { createEmbeddedStore } from './embedded-store.ts';

const page = read('docs/clients.md');

function read(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8');
}

function blocks(language: string): string[] {
  return [...page.matchAll(/^```(\w+)\n(.*?)^```$/gms)]
    .filter(([, it]) => it === language)
    .map(([, , text = '']) => text);
}

function sources(folder: string): string[] {
  return readdirSync(new URL(`../../${folder}`, import.meta.url), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => read(join(folder, name)));
}

/** Each under its first line, for the test's name. */
function named(texts: readonly string[]): [string, string][] {
  return texts.map((text) => [text.split('\n', 1)[0] ?? '', text]);
}

/** Without indentation: a snippet stands further left than its source. */
function flat(text: string): string {
  return text.replaceAll(/\s+/g, ' ').trim();
}

const running = [...sources('examples'), ...sources('test/examples')].map(flat);

test.each(named(blocks('ts')))('is taken from code that runs: %s', (_name, snippet) => {
  expect(running.some((source) => source.includes(flat(snippet)))).toBe(true);
});

test.each(named(blocks('graphql')))('is valid: %s', (_name, operation) => {
  expect(validate(buildSchema(read('schema.graphql')), parse(operation))).toEqual([]);
});

test('its curl command is answered with the cart as it stands', async () => {
  const store = await createEmbeddedStore();
  const server = await startLocalServer(store);
  const shop = createPlainShop(server.url, WebSocket);
  const begun = await shop.begin({});
  const cartId = begun.__typename === 'CartPayload' ? begun.cart.id : '';

  const [command = ''] = blocks('sh');
  const headers = [...command.matchAll(/--header '([\w-]+): ([^']+)'/g)].map(([, name = '', value = '']) => [
    name,
    value,
  ]);
  const [, body = ''] = /--data '([^']+)'/.exec(command) ?? [];
  const gone = new AbortController();
  const response = await fetch(server.url, {
    method: 'POST',
    headers: Object.fromEntries(headers),
    body: body.replace('CART_ID', cartId),
    signal: gone.signal,
  });
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += Buffer.from(chunk).toString();
    if (text.includes('}\n')) break;
  }
  gone.abort();
  await server.stop();
  await store.remove();

  expect(response.headers.get('content-type')).toBe('text/event-stream');
  expect(text).toMatch(
    /event: next\ndata: {"data":{"cartChanged":{"position":"[\w.]+","events":\[\],"cart":{"itemCount":0}}}}/,
  );
});
