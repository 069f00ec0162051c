import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, utimesSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { openDatabase } from '../../src/platform/database.ts';
import { addProducts, Load } from '../support/cart-load.ts';
import { commandLine, commandLineBegun } from '../support/command-line.ts';
import { eventually } from '../support/operator.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

// A process that is killed while it makes a backup, or restores one, leaves nothing by halves, and nothing in the way.

const SKUS = ['A', 'B', 'C'];
const found = z.array(z.object({ events: z.coerce.number(), position: z.coerce.number(), isPaused: z.boolean() }));
const FOUND = `SELECT (SELECT count(*) FROM events)::text AS events, position::text AS position, is_paused() AS "isPaused" FROM log_head`;
const present = z.tuple([z.object({ present: z.boolean() })]);

describeEachStore('A process that is killed', (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-killed-'));
  const file = join(folder, 'shop.backup');
  let store: TestStore;
  let target: TestStore;
  let server: ServerProcess;

  beforeAll(async () => {
    [store, target] = await Promise.all([kind.create(), kind.create()]);
    server = await startServerProcess(store);
    await addProducts(server.url, SKUS);
    const load = new Load(() => server.url, SKUS, 4);
    await load.begin(8);
    await eventually(() => expect(load.acknowledged.length).toBeGreaterThan(600));
    await within(60_000, 'the last answers', load.finish());
  });
  afterAll(async () => {
    await server.kill();
    await Promise.all([store.remove(), target.remove()]);
    rmSync(folder, { recursive: true, force: true });
  });

  const copies = () => {
    const { DATA_DIR } = store.environment;
    return DATA_DIR === undefined ? [] : readdirSync(DATA_DIR).filter((it) => it.startsWith('copy-'));
  };

  test('while it makes a backup leaves none, and the next one clears up behind it', async () => {
    const child = commandLineBegun(['backup', file, '--url', server.url], store.environment);
    const exited = once(child, 'exit');
    await within(
      60_000,
      'a backup that has begun',
      (async () => {
        while (readdirSync(folder).length === 0 && copies().length === 0) await delay(2);
      })(),
    );
    child.kill('SIGKILL');
    await exited;
    expect(readdirSync(folder)).not.toContain('shop.backup');
    // Nobody takes a copy away that was made a moment ago.
    for (const name of copies()) utimesSync(join(store.environment['DATA_DIR'] ?? '', name), 0, 0);

    await eventually(async () => {
      expect(await commandLine(['backup', file, '--url', server.url], store.environment)).toMatchObject({ code: 0 });
    });
    expect(readdirSync(folder)).toEqual(['shop.backup']);
    expect(copies()).toEqual([]);
  });

  const look = async () => {
    const database = await openDatabase(target.settings);
    try {
      const sql = `SELECT to_regclass('store_state') IS NOT NULL AS present`;
      const [{ present: isThere }] = present.parse(await database.log.query(sql));
      return isThere ? found.parse(await database.log.query(FOUND))[0] : undefined;
    } finally {
      await database.close();
    }
  };

  test('while it restores leaves an empty store or a whole one', async () => {
    let empty = 0;
    for (let patience = 400; ; patience *= 1.6) {
      const child = commandLineBegun(['restore', file], target.environment);
      const exited = once(child, 'exit');
      const isOver = await Promise.race([exited.then(() => true), delay(patience, false)]);
      child.kill('SIGKILL');
      await exited;
      const state = await look().catch(() => undefined);
      if ((state?.events ?? 0) === 0) empty += 1;
      else expect(state).toMatchObject({ events: state?.position, isPaused: true });
      if (isOver || (state?.events ?? 0) > 0) break;
    }
    expect(empty).toBeGreaterThan(0);
    const state = await look();
    expect(state?.events).toBeGreaterThan(300);
  });
});
