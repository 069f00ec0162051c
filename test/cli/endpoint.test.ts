import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { endpointOptions, urlOf } from '../../src/cli/endpoint.ts';
import { readAddress } from '../../src/config.ts';
import { startLocalServer } from '../support/servers.ts';
import { embeddedStores } from '../support/stores.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const SAMPLE = fileURLToPath(new URL('../../seed/online-retail-1000.csv', import.meta.url));

test('commands that go through the API find it where PORT and HOST say, and tell a stranger the same', async () => {
  const store = await embeddedStores.create();
  onTestFinished(store.remove);
  const server = await startLocalServer(store, { authMode: 'jwt', jwtSecret: 'a secret of at least thirty-two bytes' });
  onTestFinished(() => server.stop());
  const cwd = mkdtempSync(join(tmpdir(), 'cartstream-endpoint-'));
  onTestFinished(() => rmSync(cwd, { recursive: true }));
  writeFileSync(join(cwd, '.env'), `PORT=${server.port}\nHOST=127.0.0.9\n`);
  const { PORT: _, ...others } = process.env;
  const run = (...parameters: string[]) =>
    new Promise<string>((resolve) => {
      const env = { ...others, HOST: '0.0.0.0', NO_COLOR: '1' };
      execFile(process.execPath, [MAIN, ...parameters], { cwd, env }, (_error, out, err) => resolve(out + err));
    });

  const forStaff = `${server.url} says that this is for staff: name a token with --token. (npx cartstream token --role staff makes one.)\n`;
  expect(await run('trace', randomUUID())).toBe(forStaff);
  expect(await run('rebuild', 'cart.carts')).toBe(forStaff);
  expect(await run('rebuild', 'cart.carts', '--cancel')).toBe(forStaff);
  expect(await run('replay', SAMPLE, '--token', 'nonsense')).toContain(`${server.url} refuses the token`);
});

test.each([
  [{}, 'http://127.0.0.1:4000/graphql'],
  [{ PORT: '4001', HOST: '' }, 'http://127.0.0.1:4001/graphql'],
  [{ HOST: '0.0.0.0' }, 'http://127.0.0.1:4000/graphql'],
  [{ HOST: '::' }, 'http://127.0.0.1:4000/graphql'],
  [{ HOST: '::1' }, 'http://[::1]:4000/graphql'],
  [{ HOST: 'shop.example', PORT: '80', AUTH_MODE: 'nonsense' }, 'http://shop.example:80/graphql'],
])('with %j the API is at %s', (variables, url) => {
  expect(urlOf(readAddress(variables))).toBe(url);
  expect(endpointOptions.url.parse(url)).toBe(url);
});

test('with any port that is free nobody knows where the API is', () => {
  expect(() => urlOf(readAddress({ PORT: '0' }))).toThrow('--url');
  expect(() => readAddress({ PORT: 'x' })).toThrow('PORT must be a whole number');
});
