import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import { openDatabase } from '../../src/platform/database.ts';
import { addProducts, Load, sendCommand } from '../support/cart-load.ts';
import { LiveWatcher } from '../support/live-watcher.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { auditStore, contextLog } from '../support/store-audit.ts';
import { describeEachStore, type TestStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

const CLIENTS = 16;
const CARTS = 6;
const KILLS = 3;
/** Commands that are answered between two kills, at least. */
const ANSWERED_BETWEEN = 120;
const SKUS = Array.from({ length: 12 }, (_, at) => `SKU-${at}`);

const readiness = z.object({ followers: z.tuple([z.object({ position: z.string() })], z.unknown()) });

/** Follows the log as another process would, by position alone. */
class Follower {
  readonly seen: number[] = [];

  async readOn({ settings }: TestStore, until: () => boolean): Promise<void> {
    const database = await openDatabase(settings);
    const log = await contextLog(database);
    for (let isDone = false; ; ) {
      const events = await log.readAfter(this.seen.at(-1) ?? 0, 100);
      this.seen.push(...events.map(({ position }) => position));
      if (events.length === 0 && isDone) break;
      if (events.length === 0) await delay(5);
      isDone = until();
    }
    await database.close();
  }
}

describeEachStore('A server that is killed in the middle of load, again and again', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  it('keeps every acknowledged command once, nothing by halves, and every reader sees all in order', async () => {
    const store = await kind.create();
    let server: ServerProcess = await startServerProcess(store);
    closing.push(store.remove, () => server.kill());
    await addProducts(server.url, SKUS);
    const ready = readiness.parse(await (await fetch(new URL('/health/ready', server.url))).json());

    const load = new Load(() => server.url, SKUS, CARTS);
    await load.begin(CLIENTS);
    const watchers = load.carts
      .slice(0, 2)
      .map((cartId) => new LiveWatcher(() => server.webSocketUrl, cartId, ready.followers[0].position));
    closing.push(...watchers.map((it) => () => it.end()));

    // PostgreSQL is followed all the time; the folder of PGlite is free only between two servers.
    const follower = new Follower();
    let isOver = false;
    const following = kind.engine === 'postgresql' ? follower.readOn(store, () => isOver) : Promise.resolve();
    following.catch(() => {});

    for (let kill = 1; kill <= KILLS; kill += 1) {
      const goal = load.acknowledged.length + ANSWERED_BETWEEN;
      await within(
        60_000,
        `load before kill ${kill}`,
        untilTrue(() => load.acknowledged.length >= goal),
      );
      await server.kill();
      if (kind.engine === 'pglite') await follower.readOn(store, () => true);
      server = await startServerProcess(store);
    }
    const goal = load.acknowledged.length + ANSWERED_BETWEEN;
    await within(
      60_000,
      'load after the last kill',
      untilTrue(() => load.acknowledged.length >= goal),
    );
    await within(60_000, 'the last answers', load.finish());

    // The receipts are the same for ever.
    const sample = load.acknowledged.filter(({ sent }, at) => sent > 1 || at % 10 === 0);
    for (const { command, receipt } of sample) {
      expect(await sendCommand(server.url, command)).toEqual({ receipt: { ...receipt, replayed: true } });
    }
    const newest = load.carts.map((cartId) =>
      Math.max(
        ...load.acknowledged.filter((it) => isFor(it.command.input, cartId)).map((it) => it.receipt.version ?? 0),
      ),
    );
    await Promise.all(watchers.map((it, at) => within(60_000, 'watchers see the end', it.until(newest[at] ?? 0))));
    await Promise.all(watchers.map((it) => it.end()));
    isOver = true;
    expect(await server.stop()).toBe(0);
    await following;
    if (kind.engine === 'pglite') await follower.readOn(store, () => true);

    const database = await openDatabase(store.settings);
    closing.push(database.close);
    const events = await auditStore(database, load.acknowledged);
    expect(follower.seen).toEqual(events.map(({ position }) => position));
    for (const [at, { seen, connections }] of watchers.entries()) {
      const versions = events
        .filter(({ streamId }) => streamId === `cart-${load.carts[at]}`)
        .map(({ version }) => version);
      expect(seen).toEqual(versions);
      expect(connections).toBeGreaterThan(KILLS);
    }
    // Otherwise it was no test: commands were cut off, and some of them had been done already.
    expect(load.acknowledged.some(({ sent }) => sent > 1)).toBe(true);
  }, 300_000);
});

async function untilTrue(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

function isFor({ cartId, newCartId }: Readonly<Record<string, unknown>>, id: string): boolean {
  return newCartId === id || cartId === Buffer.from(`Cart:${id}`).toString('base64url');
}
