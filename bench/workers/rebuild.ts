import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { cartContext } from '../../src/contexts/cart/index.ts';
import { operationsContext } from '../../src/contexts/operations/index.ts';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import { systemClock } from '../../src/platform/clock.ts';
import { type Database, type DatabaseSettings, openDatabase } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { Latencies, type Measurement, measurement, sharedNow } from '../harness/measuring.ts';
import { answer } from '../harness/remote.ts';

// A process that reads a long log, or rebuilds the carts from it. Each is done once, however long it takes.

export type RebuildMethods = typeof methods;

const NAME = 'cart.carts';
const PAGE = 2_000;

let open: { readonly database: Database; readonly engine: Engine; readonly carts: number } | undefined;

const methods = {
  /** @param carts how many rows the table must have */
  async open({ settings, masterKey, carts }: { settings: DatabaseSettings; masterKey: string; carts: number }) {
    const database = await openDatabase(settings);
    const contexts = [cartContext, operationsContext];
    const engine = await Engine.start({
      database,
      masterKey: Buffer.from(masterKey, 'base64'),
      aggregates: contexts.flatMap(({ aggregates }) => aggregates),
      projections: contexts.flatMap(({ projections }) => projections),
      clock: systemClock,
      ids: randomIds,
      logger: createLogger('silent'),
      // A log that was copied here was never sealed: to make up for that is not what is measured.
      isSealing: false,
    });
    open = { database, engine, carts };
  },

  /** Every event through Prisma's own client, page by page, and nothing done with it. */
  async read(): Promise<Measurement> {
    const { prisma } = (open ?? fail()).database.log;
    const begun = sharedNow();
    let count = 0;
    for (let position = 0n; ; ) {
      const events = await prisma.event.findMany({
        where: { position: { gt: position } },
        orderBy: { position: 'asc' },
        take: PAGE,
      });
      count += events.length;
      position = events.at(-1)?.position ?? position;
      if (events.length < PAGE) break;
    }
    return timed(count, sharedNow() - begun, []);
  },

  /** From the command until the rebuilt table is the live one: with the comparison of every row. */
  async rebuild(): Promise<Measurement> {
    const { engine, database, carts } = open ?? fail();
    const begun = sharedNow();
    const commandId = randomUUID();
    const request = {
      commandId,
      name: 'RebuildProjection',
      data: { name: NAME },
      actor: SYSTEM,
      correlationId: commandId,
    };
    const outcome = await engine.executor.execute(request);
    if (outcome.outcome !== 'succeeded') throw new Error(JSON.stringify(outcome));
    for (;;) {
      const rebuild = (await engine.projections.find([NAME])).get(NAME)?.rebuild;
      if (rebuild?.status === 'SWAPPED') {
        const elapsed = sharedNow() - begun;
        const rows = await database.log.prisma.cartView.count();
        const wrong = rebuild.differences === 0 && rows >= carts ? [] : [`${rebuild.differences} differ, ${rows} rows`];
        return timed(rebuild.position, elapsed, wrong);
      }
      if (rebuild?.status === 'FAILED') throw new Error(rebuild.error ?? 'It failed.');
      // Seldom: it is the same process that rebuilds.
      await delay(50);
    }
  },
};

function timed(count: number, elapsedMs: number, problems: string[]): Measurement {
  const latencies = new Latencies();
  latencies.record(elapsedMs);
  return {
    ...measurement(latencies, elapsedMs, problems.length, problems),
    perSecond: count / (elapsedMs / 1000),
    count,
  };
}

function fail(): never {
  throw new Error('nothing is open');
}

answer(methods);
