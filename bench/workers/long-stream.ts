import { randomUUID } from 'node:crypto';
import { cartContext } from '../../src/contexts/cart/index.ts';
import { catalogContext } from '../../src/contexts/catalog/index.ts';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { type Database, type DatabaseSettings, openDatabase } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { migrate } from '../../src/platform/migrations.ts';
import { Latencies, type Measurement, measurement, sharedNow } from '../harness/measuring.ts';
import { answer } from '../harness/remote.ts';

// A process that runs one command on a cart that its engine has never seen: of a hundred changes, or of a hundred thousand.

export type LongStreamMethods = typeof methods;

const actor: Actor = { kind: 'ADMIN', id: null };
const SHORT = 100;
const IN_FLIGHT = 64;
/** Commands on carts of their own, before each that is measured: what is compiled and connected at first is not counted. */
const WARM_UP = 5;

let database: Database | undefined;
let short = '';
let long = '';
let quantity = 1;

const methods = {
  /** Fills the two carts as the product does, with the snapshots that it takes meanwhile. @param events of the long one */
  async open({ settings, events }: { settings: DatabaseSettings; events: number }) {
    database = await openDatabase(settings);
    await migrate(database);
    const engine = await start();
    const product = { sku: 'MUG', name: 'Mug', price: { amountMinor: 100, currency: 'GBP' }, stock: 1_000_000 };
    await run(engine, 'AddProduct', product);
    await engine.reachAll(['ProductAdded', 'StockOpened'], engine.tail.head, 10_000);
    short = await cartOf(engine, SHORT);
    long = await cartOf(engine, events);
    await engine.stop();
  },
  short: ({ durationMs }: { durationMs: number }) => changesOf(short, durationMs),
  long: ({ durationMs }: { durationMs: number }) => changesOf(long, durationMs),
};

async function start(): Promise<Engine> {
  return Engine.start({
    database: database ?? fail(),
    masterKey: Buffer.alloc(32, 'bench '),
    aggregates: [...cartContext.aggregates, ...catalogContext.aggregates],
    projections: [...cartContext.projections, ...catalogContext.projections],
    clock: systemClock,
    ids: randomIds,
    logger: createLogger('error'),
  });
}

async function run({ executor }: Engine, name: string, data: object): Promise<void> {
  const commandId = randomUUID();
  const outcome = await executor.execute({ commandId, name, data, actor, correlationId: commandId });
  if (outcome.outcome !== 'succeeded') throw new Error(`${name} did not succeed: ${JSON.stringify(outcome)}`);
}

/** Changes the one line of a cart: one event each time. */
function change(engine: Engine, cartId: string): Promise<void> {
  quantity = (quantity % 9_000) + 1;
  return run(engine, 'ChangeItemQuantity', { cartId, sku: 'MUG', quantity });
}

/** A cart of so many events. */
async function cartOf(engine: Engine, events: number): Promise<string> {
  const cartId = randomUUID();
  await run(engine, 'CreateCart', { cartId, currency: 'GBP' });
  await run(engine, 'AddItemToCart', { cartId, sku: 'MUG', quantity: 9_999 });
  let left = events - 2;
  const lane = async () => {
    while (left > 0) {
      left -= 1;
      await change(engine, cartId);
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  return cartId;
}

/** One change after the other, each with an engine of its own. */
async function changesOf(cartId: string, durationMs: number): Promise<Measurement> {
  const latencies = new Latencies();
  const begun = sharedNow();
  const samples: string[] = [];
  while (sharedNow() - begun < durationMs || latencies.count < 3) {
    const engine = await start();
    for (let warm = 0; warm < WARM_UP; warm += 1) await cartOf(engine, 3);
    const before = sharedNow();
    await change(engine, cartId);
    latencies.record(sharedNow() - before);
    await engine.stop();
  }
  return measurement(latencies, sharedNow() - begun, samples.length, samples);
}

function fail(): never {
  throw new Error('nothing is open');
}

answer(methods);
