import { z } from 'zod';
import type { Actor } from '../src/eventsourcing/actor.ts';
import {
  type Aggregate,
  type CommandDefinition,
  type CommandOf,
  defineCommand,
} from '../src/eventsourcing/commands/aggregate.ts';
import { Engine } from '../src/eventsourcing/engine.ts';
import { personal } from '../src/eventsourcing/log/codec.ts';
import { defineEvent, type EventDefinition, type EventOf } from '../src/eventsourcing/log/event.ts';
import { systemClock } from '../src/platform/clock.ts';
import { type DatabaseSettings, openDatabase } from '../src/platform/database.ts';
import { randomIds } from '../src/platform/ids.ts';
import { createLogger } from '../src/platform/logger.ts';
import { migrate } from '../src/platform/migrations.ts';
import { sampleEventData } from './references/sample-event.ts';

/** What is appended: an item; or an order with a mail address and an address, as they are or encrypted. */
export type AppendedKind = 'item' | 'plain' | 'personal';

/** The product's event log, opened for appending inside this process. */
export interface OpenEngine {
  /** Runs one command that appends one event to a stream that is not there yet; resolves when that is committed. */
  append(aggregateId: string, kind?: AppendedKind): Promise<void>;
  close(): Promise<void>;
}

export const item = z.object({
  sku: z.string(),
  name: z.string(),
  quantity: z.int(),
  unitPrice: z.object({ amountMinor: z.int(), currency: z.string() }),
});
export const itemAdded = defineEvent({
  type: 'ItemAdded',
  schemaVersion: 1,
  description: 'An item was added.',
  data: item,
});
const addItem = defineCommand({
  name: 'AddItem',
  begins: true,
  description: 'Adds an item.',
  audience: 'public',
  input: item.extend({ aggregateId: z.string() }),
  aggregateId: (data) => data.aggregateId,
});

const fields = {
  customerId: z.string(),
  email: z.string(),
  address: z.object({ name: z.string(), street: z.string(), city: z.string(), postalCode: z.string() }),
};
const marked = {
  ...fields,
  email: personal(fields.email, 'customerId'),
  address: personal(fields.address, 'customerId'),
};
/** The same data twice: as it is, and with what is personal in it encrypted. */
const ordered = [
  { command: 'OrderPlainly', event: 'OrderedPlainly', data: item.extend(fields) },
  { command: 'OrderPersonally', event: 'OrderedPersonally', data: item.extend(marked) },
].map(({ command, event, data }) => ({
  event: defineEvent({ type: event, schemaVersion: 1, description: 'An item was ordered.', data }),
  command: defineCommand({
    name: command,
    begins: true,
    description: 'Orders an item.',
    audience: 'public',
    input: data.extend({ aggregateId: z.string() }),
    aggregateId: (input) => String(input['aggregateId']),
  }),
}));
/** As many as customers who order in the same minute. */
const CUSTOMERS = 1_000;

const aggregate: Aggregate<number, CommandOf<CommandDefinition>, EventOf<EventDefinition>, never> = {
  type: 'bench',
  decider: {
    initialState: 0,
    decide: ({ type, data: { aggregateId: _, ...data } }) => [
      { type: ordered.find(({ command }) => command.name === type)?.event.type ?? itemAdded.type, data },
    ],
    evolve: (count) => count + 1,
  },
  commands: [addItem, ...ordered.map(({ command }) => command)],
  events: [itemAdded, ...ordered.map(({ event }) => event)],
};

const actor: Actor = { kind: 'ADMIN', id: null };

/**
 * The whole way of a command: validated, decided, and stored with its command row. Without HTTP and read tables.
 * @param isSealing whether the log is sealed behind it, as the product does
 */
export async function openEngine(settings: DatabaseSettings, isSealing = true): Promise<OpenEngine> {
  const database = await openDatabase(settings);
  await migrate(database);
  const engine = await Engine.start({
    database,
    masterKey: Buffer.alloc(32, 1),
    aggregates: [aggregate as Aggregate],
    projections: [],
    isSealing,
    clock: systemClock,
    ids: randomIds,
    logger: createLogger('error'),
  });
  return {
    async append(aggregateId, kind = 'item') {
      const commandId = randomIds.ordered();
      const data = { aggregateId, ...sampleEventData(), ...(kind === 'item' ? {} : orderData()) };
      const { outcome } = await engine.executor.execute({
        commandId,
        name: { item: addItem.name, plain: 'OrderPlainly', personal: 'OrderPersonally' }[kind],
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

let orders = 0;

function orderData() {
  orders += 1;
  const customer = orders % CUSTOMERS;
  return {
    customerId: `customer-${customer}`,
    email: `customer-${customer}@mail.example.org`,
    address: { name: 'Ada Lovelace', street: '12 St James Square', city: 'London', postalCode: 'SW1Y 4JH' },
  };
}
