import { expect } from 'vitest';
import { z } from 'zod';
import { cartProductProjection } from '../../src/contexts/cart/product-copy.ts';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { catalogContext } from '../../src/contexts/catalog/index.ts';
import { productProjection } from '../../src/contexts/catalog/projection.ts';
import { customerOrderProjection } from '../../src/contexts/customers/order-copy.ts';
import { customerProjection } from '../../src/contexts/customers/projection.ts';
import { contexts } from '../../src/contexts/index.ts';
import { notificationProjection } from '../../src/contexts/notification/projection.ts';
import { orderProjection } from '../../src/contexts/ordering/projection.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { EventLog } from '../../src/eventsourcing/log/event-log.ts';
import { Positions } from '../../src/eventsourcing/log/position.ts';
import { createProcessProjection } from '../../src/eventsourcing/processes/process-view.ts';
import type { ProjectedRow, Projection } from '../../src/eventsourcing/projections/projection.ts';
import { column, ReadRows } from '../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../src/platform/database.ts';
import { createProcesses, processEvents } from '../../src/processes/index.ts';
import type { Acknowledged } from './cart-load.ts';
import { testCodec } from './master-key.ts';
import { byKey, foldEvents } from './tables.ts';
import { readWholeLog } from './tally-engine.ts';

const processProjection = createProcessProjection(
  createProcesses({ cartAbandonedAfterMs: 0, paymentLimitMs: 0, reconcileAfterMs: 0, paymentProvider: '' }),
);

const commandRows = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    status: z.string(),
    version: z.number().nullable(),
    position: column.safeInt().nullable(),
    firstPosition: column.safeInt().nullable(),
    eventCount: z.number(),
    actorKind: z.string(),
  }),
);
const COMMANDS = `
  SELECT command_id AS id, name, status, version, position, first_position AS "firstPosition",
         event_count AS "eventCount", actor_kind AS "actorKind"
  FROM commands`;
const streamRows = z.array(z.object({ id: z.string(), version: z.number() }));

export async function contextLog(database: Database): Promise<EventLog> {
  const events = contexts.flatMap(({ aggregates }) => aggregates).flatMap((aggregate) => aggregate.events);
  return new EventLog(database.log, await testCodec(database), [...events, ...processEvents]);
}

/**
 * Looks through a store that no server has open: is all that clients were told there, once and whole, and do the read
 * tables say the same as the log?
 * @param others ids of commands that were sent beside those
 * @returns all events of the log
 */
export async function auditStore(
  database: Database,
  acknowledged: readonly Acknowledged[],
  others: readonly string[] = [],
): Promise<RecordedEvent[]> {
  const log = await contextLog(database);
  const { epoch, position: head } = await log.head();
  const positions = new Positions(epoch);
  const events = await readWholeLog(log);
  expect(
    events.map(({ position }) => position),
    'positions have no gaps',
  ).toEqual(Array.from({ length: head }, (_, at) => at + 1));
  expect(new Set(events.map(({ eventId }) => eventId)).size).toBe(events.length);

  const versions = new Map<string, number>();
  for (const { streamId, version } of events) {
    expect(version, `versions of ${streamId} have no gaps`).toBe((versions.get(streamId) ?? 0) + 1);
    versions.set(streamId, version);
  }
  const streams = streamRows.parse(await database.log.query('SELECT id, version FROM streams'));
  expect(new Map(streams.map(({ id, version }) => [id, version])), 'streams are where their events are').toEqual(
    versions,
  );

  const commands = commandRows.parse(await database.log.query(COMMANDS));
  const ofCommand = new Map<string | null, RecordedEvent[]>();
  for (const event of events) ofCommand.set(event.commandId, [...(ofCommand.get(event.commandId) ?? []), event]);
  for (const { id, name, firstPosition, eventCount } of commands) {
    const own = (ofCommand.get(id) ?? []).map(({ position }) => position);
    const whole = Array.from({ length: eventCount }, (_, at) => (firstPosition ?? 0) + at);
    expect(own, `${name} ${id} is there once and whole`).toEqual(whole);
    if (eventCount > 1 && name === 'AddItemToCart') expect(own, `${name} ${id} is not doubled`).toHaveLength(1);
    ofCommand.delete(id);
  }
  expect([...ofCommand.keys()], 'every event has its command').toEqual([]);

  const stored = new Map(commands.map((command) => [command.id, command]));
  for (const { command, receipt } of acknowledged) {
    const row = stored.get(command.input.commandId);
    expect(
      { status: row?.status, version: row?.version, position: row?.position ?? null },
      `${command.field} ${command.input.commandId} is what the client was told`,
    ).toEqual({
      status: receipt.status,
      version: receipt.version,
      position: receipt.position === null ? null : positions.decode(receipt.position, head),
    });
  }
  const told = new Set(acknowledged.map(({ command }) => command.input.commandId));
  expect(told.size, 'every command was answered once').toBe(acknowledged.length);
  for (const id of others) told.add(id);
  const strangers = commands.filter(
    ({ id, name, actorKind }) => !told.has(id) && !isOfCatalog(name) && !['PROCESS', 'SERVICE'].includes(actorKind),
  );
  expect(strangers, 'there is nothing that nobody sent').toEqual([]);

  await expectTableToBeFold(database, cartProjection, events);
  await expectTableToBeFold(database, productProjection, events);
  await expectTableToBeFold(database, cartProductProjection, events);
  await expectTableToBeFold(database, orderProjection, events);
  await expectTableToBeFold(database, customerProjection, events);
  await expectTableToBeFold(database, customerOrderProjection, events);
  await expectTableToBeFold(database, notificationProjection, events);
  await expectTableToBeFold(database, processProjection, events);
  return events;
}

function isOfCatalog(commandName: string): boolean {
  return catalogContext.aggregates.some(({ commands }) => commands.some(({ name }) => name === commandName));
}

async function expectTableToBeFold<Row extends ProjectedRow>(
  database: Database,
  projection: Projection<Row>,
  events: readonly RecordedEvent[],
): Promise<void> {
  const rows = await new ReadRows(projection.table, database.derived, await testCodec(database)).find('');
  expect(byKey(projection, rows), `${projection.table.name} is the fold of the log`).toEqual(
    foldEvents(projection, events),
  );
}
