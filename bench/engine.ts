import { z } from 'zod';
import type { Actor } from '../src/eventsourcing/actor.ts';
import { type Aggregate, type CommandOf, defineCommand } from '../src/eventsourcing/aggregate.ts';
import type { Decider } from '../src/eventsourcing/decider.ts';
import { Engine } from '../src/eventsourcing/engine.ts';
import { defineEvent, type EventOf } from '../src/eventsourcing/event.ts';
import { systemClock } from '../src/platform/clock.ts';
import { type DatabaseSettings, openDatabase } from '../src/platform/database.ts';
import { randomIds } from '../src/platform/ids.ts';
import { createLogger } from '../src/platform/logger.ts';
import { migrate } from '../src/platform/migrations.ts';
import { sampleEventData } from './references/sample-event.ts';

/** The product's event log, opened for appending inside this process. */
export interface OpenEngine {
  /** Runs one command that appends one event to a stream that is not there yet; resolves when that is committed. */
  append(aggregateId: string): Promise<void>;
  close(): Promise<void>;
}

const item = z.object({
  sku: z.string(),
  name: z.string(),
  quantity: z.int(),
  unitPrice: z.object({ amountMinor: z.int(), currency: z.string() }),
});
const itemAdded = defineEvent({ type: 'ItemAdded', schemaVersion: 1, description: 'An item was added.', data: item });
const addItem = defineCommand({
  name: 'AddItem',
  begins: true,
  description: 'Adds an item.',
  audience: 'public',
  input: item.extend({ aggregateId: z.string() }),
  aggregateId: (data) => data.aggregateId,
});

const decider: Decider<number, CommandOf<typeof addItem>, EventOf<typeof itemAdded>> = {
  initialState: 0,
  decide: ({ data: { aggregateId: _, ...data } }) => [{ type: 'ItemAdded', data }],
  evolve: (count) => count + 1,
};
const aggregate: Aggregate<number, CommandOf<typeof addItem>, EventOf<typeof itemAdded>, never> = {
  type: 'bench',
  decider,
  commands: [addItem],
  events: [itemAdded],
};

const actor: Actor = { kind: 'ADMIN', id: null };

/** The whole way of a command: validated, decided, and stored with its command row. Without HTTP and read tables. */
export async function openEngine(settings: DatabaseSettings): Promise<OpenEngine> {
  const database = await openDatabase(settings);
  await migrate(database);
  const engine = await Engine.start({
    database,
    aggregates: [aggregate as Aggregate],
    projections: [],
    clock: systemClock,
    ids: randomIds,
    logger: createLogger('error'),
  });
  return {
    async append(aggregateId) {
      const commandId = randomIds.ordered();
      const data = { aggregateId, ...sampleEventData() };
      const { outcome } = await engine.executor.execute({
        commandId,
        name: addItem.name,
        data,
        actor,
        correlationId: commandId,
      });
      if (outcome !== 'succeeded') throw new Error(`The command was ${outcome}`);
    },
    async close() {
      await engine.stop();
      await database.close();
    },
  };
}
