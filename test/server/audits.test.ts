import { serverAudits } from 'graphql-http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type LocalServer, startLocalServer } from '../support/servers.ts';
import { storeKinds, type TestStore } from '../support/stores.ts';

describe('GraphQL over HTTP, as its specification audits it', () => {
  let store: TestStore;
  let server: LocalServer;
  beforeAll(async () => {
    const [kind] = storeKinds;
    if (kind === undefined) throw new Error('There is no store.');
    store = await kind.create();
    server = await startLocalServer(store);
  });
  afterAll(async () => {
    await server.stop();
    await store.remove();
  });

  const audits = serverAudits({ url: () => server.url, fetchFn: fetch });

  test('has 61 audits', () => {
    expect(audits).toHaveLength(61);
  });

  test.each(audits)('$id $name', async ({ fn }) => {
    const result = await fn();
    expect('reason' in result ? result.reason : '').toBe('');
    expect(result.status).toBe('ok');
  });
});
