import { randomUUID } from 'node:crypto';
import { request } from 'node:http';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { z } from 'zod';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import type { Database } from '../../src/platform/database.ts';
import { addProducts, Load } from '../support/cart-load.ts';
import { LiveWatcher } from '../support/live-watcher.ts';
import { type ServerProcess, startServerProcess } from '../support/servers.ts';
import { mutationOf, Shop } from '../support/shop.ts';
import { auditStore } from '../support/store-audit.ts';
import { describeServerStore, openMigrated, type TestStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

const LEASE_S = 1;
const STOPPED_MS = 3_000;
/** Time for projections to write what was appended. */
const UNAWARE_MS = 200;
const SKUS = Array.from({ length: 12 }, (_, at) => `SKU-${at}`);
const QUEUED = 300;
const QUEUE_CARTS = 10;
const MERGES = 12;

/** Notes every write to what is leased, with the connection that made it; the server processes have names of their own. */
const WITNESS = `
  CREATE TABLE witness (id bigserial, at timestamptz DEFAULT clock_timestamp(), what text, writer text, owner uuid);
  CREATE FUNCTION note_checkpoint() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    IF NEW.position <> OLD.position THEN
      INSERT INTO witness (what, writer, owner) VALUES (NEW.name, current_setting('application_name'), NEW.owner);
    END IF;
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_checkpoint AFTER UPDATE ON checkpoints FOR EACH ROW EXECUTE FUNCTION note_checkpoint();
  CREATE FUNCTION note_node() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO witness (what, writer, owner) VALUES ('node', current_setting('application_name'), NEW.id);
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_node AFTER INSERT ON nodes FOR EACH ROW EXECUTE FUNCTION note_node();
  CREATE FUNCTION note_finished() RETURNS trigger LANGUAGE plpgsql AS $$
  BEGIN
    INSERT INTO witness (what, writer, owner) VALUES ('queue', current_setting('application_name'), OLD.owner);
    RETURN NULL;
  END $$;
  CREATE TRIGGER note_finished AFTER DELETE ON command_queue FOR EACH ROW WHEN (OLD.owner IS NOT NULL)
  EXECUTE FUNCTION note_finished();
`;
const witnessRows = z.array(z.object({ what: z.string(), writer: z.string(), owner: z.string() }));
const headRow = z.tuple([z.object({ position: z.coerce.number() })]);
const counted = z.tuple([z.object({ count: z.number() })]);

describeServerStore('Several server processes', (kind) => {
  const closing: (() => Promise<unknown>)[] = [];
  afterEach(async () => {
    for (const close of closing.splice(0).reverse()) await close();
  });

  async function start(store: TestStore, name: string): Promise<ServerProcess> {
    const server = await startServerProcess(store, ['--no-seed'], { PGAPPNAME: name, LEASE_S: String(LEASE_S) });
    closing.push(async () => {
      server.process.kill('SIGCONT');
      await server.kill();
    });
    return server;
  }

  it('do everything once, while one is stopped for longer than its lease and goes on, and one is killed', async () => {
    const store = await kind.create();
    closing.push(store.remove);
    const database = await openMigrated(store);
    closing.push(database.close);
    for (const statement of WITNESS.split(/;\n(?= {2}CREATE)/)) await database.log.query(statement);

    const first = await start(store, 'first');
    let second = await start(store, 'second');
    await addProducts(first.url, SKUS);
    const begin = await position(second);

    // Load on the second, which will not be stopped; watched through the first, and the other way round.
    const load = new Load(() => second.url, SKUS, 6);
    await load.begin(8);
    const watchers = load.carts
      .slice(0, 3)
      .map((cartId, at) => new LiveWatcher(() => (at === 0 ? first : second).webSocketUrl, cartId, begin));
    closing.push(...watchers.map((it) => () => it.end()));
    const queued = new Queued();
    await queued.begin(first.url);
    const merges = new Merges();
    await merges.prepare(first.url);

    await queued.send([first.url, second.url]);
    const merging = merges.send([first.url, second.url]);
    await merging;

    first.process.kill('SIGSTOP');
    // It finds these when it goes on, and believes for a moment that everything is still its own.
    const zombieWrites = Promise.all(SKUS.map((sku) => adjustStock(first.url, sku)));
    await queued.send([second.url]);
    await delay(STOPPED_MS);
    await resumeUnaware(database, first, second);
    await within(60_000, 'the resumed process answers', zombieWrites);

    const answered = load.acknowledged.length;
    await second.kill();
    await within(
      60_000,
      'a killed one is replaced',
      start(store, 'third').then((server) => (second = server)),
    );
    await queued.send([first.url, second.url]);
    await within(
      60_000,
      'load goes on',
      untilTrue(() => load.acknowledged.length > answered + 200),
    );
    await within(60_000, 'the last answers', load.finish());

    await within(60_000, 'everything queued is done', untilQueueIsEmpty(database));
    const versions = new Map<string, number>();
    for (const { command, receipt } of load.acknowledged) {
      const cartId = rawCartId(command.input);
      versions.set(cartId, Math.max(versions.get(cartId) ?? 0, receipt.version ?? 0));
    }
    for (const [at, watcher] of watchers.entries()) {
      const version = versions.get(load.carts[at] ?? '') ?? 0;
      await within(60_000, 'watchers see the end', watcher.until(version));
      await watcher.end();
    }
    expect(await first.stop()).toBe(0);
    expect(await second.stop()).toBe(0);

    const events = await auditStore(database, load.acknowledged, [...queued.sent, ...queued.begun, ...merges.sent]);
    for (const [at, watcher] of watchers.entries()) {
      const ofCart = events.filter(({ streamId }) => streamId === `cart-${load.carts[at]}`);
      expect(watcher.seen).toEqual(ofCart.map(({ version }) => version));
    }
    queued.check(events);
    merges.check(events);
    await expectNobodyWroteForAnother(database);
  }, 300_000);
});

/**
 * Lets a stopped process go on, which cannot find out that its lease went before it has written; and the one that took
 * over holds still meanwhile, so that nothing but the token stands in the way of that.
 */
async function resumeUnaware(database: Database, stopped: ServerProcess, successor: ServerProcess): Promise<void> {
  const head = async () => headRow.parse(await database.derived.query('SELECT position FROM log_head'))[0].position;
  await database.log.prisma.$transaction(
    async (transaction) => {
      await transaction.$executeRawUnsafe('LOCK TABLE nodes IN ACCESS EXCLUSIVE MODE');
      successor.process.kill('SIGSTOP');
      const before = await head();
      stopped.process.kill('SIGCONT');
      while ((await head()) < before + SKUS.length) await delay(5);
      await delay(UNAWARE_MS);
      successor.process.kill('SIGCONT');
    },
    { timeout: 60_000 },
  );
}

/** Every write to a checkpoint or a claim was made by the process whose node owned it then. */
async function expectNobodyWroteForAnother(database: Database): Promise<void> {
  const rows = witnessRows.parse(await database.log.query('SELECT what, writer, owner FROM witness ORDER BY id'));
  const processOf = new Map(rows.filter(({ what }) => what === 'node').map(({ owner, writer }) => [owner, writer]));
  const writes = rows.filter(({ what }) => what !== 'node');
  const strange = writes
    .map(({ what, owner, writer }) => ({ what, writer, owner: processOf.get(owner) }))
    .filter(({ owner, writer }) => owner !== writer);
  expect(strange).toEqual([]);
  // Otherwise it was no test: each of the three did some of the work, and the stopped one came back as another node.
  expect(new Set(writes.map(({ writer }) => writer))).toEqual(new Set(['first', 'second', 'third']));
  expect([...processOf.values()].filter((it) => it === 'first').length).toBeGreaterThan(1);
}

/** Commands that are sent to be run in the background, in order for each cart. */
class Queued {
  readonly begun: string[] = [];
  readonly sent: string[] = [];
  readonly #carts = Array.from({ length: QUEUE_CARTS }, () => randomUUID());
  readonly #inOrder = new Map<string, string[]>();

  async begin(url: string): Promise<void> {
    for (const newCartId of this.#carts) {
      const commandId = randomUUID();
      this.begun.push(commandId);
      await new Shop(url).run('createCart', { commandId, newCartId });
    }
  }

  async send(urls: readonly string[]): Promise<void> {
    await Promise.all(
      this.#carts.map(async (cartId, cart) => {
        for (let at = 0; at < QUEUED / QUEUE_CARTS; at += 1) {
          const commandId = randomUUID();
          const input = { commandId, cartId: globalId(cartId), sku: SKUS[at % SKUS.length], quantity: 1 };
          const { data } = await new Shop(urls[(cart + at) % urls.length] ?? '').ask<{ add: { __typename: string } }>(
            'mutation ($input: AddItemToCartInput!) { add: addItemToCart(input: $input, schedule: {}) { __typename } }',
            { input },
          );
          expect(data?.add.__typename).toBe('CommandAccepted');
          this.sent.push(commandId);
          this.#inOrder.set(cartId, [...(this.#inOrder.get(cartId) ?? []), commandId]);
        }
      }),
    );
  }

  check(events: readonly RecordedEvent[]): void {
    for (const [cartId, commandIds] of this.#inOrder) {
      const ofCart = events.filter((event) => event.streamId === `cart-${cartId}` && event.type === 'ItemAddedToCart');
      expect(ofCart.map(({ commandId }) => commandId)).toEqual(commandIds);
    }
  }
}

const lines = z.object({ sku: z.string(), quantity: z.number() });

/** Pairs of carts that become one. */
class Merges {
  readonly sent: string[] = [];
  readonly #pairs = Array.from({ length: MERGES }, () => ({ from: randomUUID(), into: randomUUID() }));

  async prepare(url: string): Promise<void> {
    const shop = new Shop(url);
    for (const [at, { from, into }] of this.#pairs.entries()) {
      for (const newCartId of [from, into]) {
        this.sent.push(randomUUID());
        await shop.run('createCart', { commandId: this.sent.at(-1), newCartId });
        this.sent.push(randomUUID());
        await shop.addItem(globalId(newCartId), SKUS[at % 3] ?? '', 2, { commandId: this.sent.at(-1) });
      }
    }
  }

  async send(urls: readonly string[]): Promise<void> {
    await Promise.all(
      this.#pairs.map(async ({ from, into }, at) => {
        const commandId = randomUUID();
        this.sent.push(commandId);
        const input = { commandId, fromCartId: globalId(from), intoCartId: globalId(into) };
        const outcome = await new Shop(urls[at % urls.length] ?? '').run('mergeCarts', input);
        expect(outcome).toMatchObject({ __typename: 'CartPayload', cart: { itemCount: 4 } });
      }),
    );
  }

  check(events: readonly RecordedEvent[]): void {
    for (const { from, into } of this.#pairs) {
      const taken = events.filter((event) => event.aggregateId === into && event.type === 'CartLinesTakenIn');
      expect(taken.map(({ data }) => z.object({ lines: z.array(lines) }).parse(data).lines)).toEqual([
        [expect.objectContaining({ quantity: 2 })],
      ]);
      expect(events.filter((event) => event.aggregateId === from && event.type === 'CartMerged')).toHaveLength(1);
    }
  }
}

/** Over a connection of its own: one that was kept open is closed by the server when it was silent for too long. */
async function adjustStock(url: string, sku: string): Promise<void> {
  const input = { sku, delta: 1, reason: 'found one' };
  const body = JSON.stringify({ query: mutationOf('adjustStock'), variables: { input } });
  const answer = await new Promise<string>((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent: false, headers: { 'content-type': 'application/json' } });
    sent.once('error', reject);
    sent.once('response', (response) => text(response).then(resolve, reject));
    sent.end(body);
  });
  expect(answer).toMatch(/"ProductPayload"|"CommandAccepted"/);
}

const readiness = z.object({ followers: z.tuple([z.object({ position: z.string() })], z.unknown()) });

async function position(server: ServerProcess): Promise<string> {
  return readiness.parse(await (await fetch(new URL('/health/ready', server.url))).json()).followers[0].position;
}

async function untilQueueIsEmpty(database: Database): Promise<void> {
  const due = 'SELECT count(*)::int AS count FROM command_queue WHERE due_at <= now()';
  while (counted.parse(await database.log.query(due))[0].count > 0) await delay(20);
}

async function untilTrue(condition: () => boolean): Promise<void> {
  while (!condition()) await delay(5);
}

function globalId(cartId: string): string {
  return Buffer.from(`Cart:${cartId}`).toString('base64url');
}

function rawCartId({ cartId, newCartId }: Readonly<Record<string, unknown>>): string {
  if (typeof newCartId === 'string') return newCartId;
  return Buffer.from(String(cartId), 'base64url').toString('utf8').slice('Cart:'.length);
}
