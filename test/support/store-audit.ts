import { expect } from 'vitest';
import { z } from 'zod';
import { cartProductProjection } from '../../src/contexts/cart/product-copy.ts';
import { cartProjection } from '../../src/contexts/cart/projection.ts';
import { catalogContext } from '../../src/contexts/catalog/index.ts';
import { productProjection } from '../../src/contexts/catalog/projection.ts';
import { contexts } from '../../src/contexts/index.ts';
import { StorageCodec } from '../../src/eventsourcing/codec.ts';
import type { RecordedEvent } from '../../src/eventsourcing/event.ts';
import { EventLog } from '../../src/eventsourcing/event-log.ts';
import { Positions } from '../../src/eventsourcing/position.ts';
import type { ProjectedRow, Projection } from '../../src/eventsourcing/projection.ts';
import { column, ReadRows } from '../../src/eventsourcing/read-table.ts';
import type { Database } from '../../src/platform/database.ts';
import type { Acknowledged } from './cart-load.ts';
import { byKey, foldEvents } from './tables.ts';
import { readWholeLog } from './tally-engine.ts';

const commandRows = z.array(
  z.object({
    id: z.string(),
    name: z.string(),
    status: z.string(),
    version: z.number(),
    position: column.safeInt().nullable(),
  }),
);
const streamRows = z.array(z.object({ id: z.string(), version: z.number() }));

export function contextLog({ log }: Database): EventLog {
  const events = contexts.flatMap(({ aggregates }) => aggregates).flatMap((aggregate) => aggregate.events);
  return new EventLog(log, new StorageCodec(), events);
}

/**
 * Looks through a store that no server has open: is all that clients were told there, once and whole, and do the read
 * tables say the same as the log?
 * @returns all events of the log
 */
export async function auditStore(database: Database, acknowledged: readonly Acknowledged[]): Promise<RecordedEvent[]> {
  const log = contextLog(database);
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

  const commands = commandRows.parse(
    await database.log.query('SELECT command_id AS id, name, status, version, position FROM commands'),
  );
  const ofCommand = new Map<string | null, RecordedEvent[]>();
  for (const event of events) ofCommand.set(event.commandId, [...(ofCommand.get(event.commandId) ?? []), event]);
  for (const { id, name, position } of commands) {
    const own = ofCommand.get(id) ?? [];
    expect(own.at(-1)?.position ?? null, `${name} ${id} is there whole`).toBe(position);
    if (position !== null) expect(own, `${name} ${id} is there once`).toHaveLength(name === 'AddProduct' ? 2 : 1);
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
  const strangers = commands.filter(({ id, name }) => !told.has(id) && !isOfCatalog(name));
  expect(strangers, 'there is nothing that nobody sent').toEqual([]);

  await expectTableToBeFold(database, cartProjection, events);
  await expectTableToBeFold(database, productProjection, events);
  await expectTableToBeFold(database, cartProductProjection, events);
  return events;
}

function isOfCatalog(commandName: string): boolean {
  return catalogContext.aggregates.some(({ commands }) => commands.some(({ name }) => name === commandName));
}

async function expectTableToBeFold<Row extends ProjectedRow>(
  { derived }: Database,
  projection: Projection<Row>,
  events: readonly RecordedEvent[],
): Promise<void> {
  const rows = await new ReadRows(projection.table, derived, new StorageCodec()).find('');
  expect(byKey(projection, rows), `${projection.table.name} is the fold of the log`).toEqual(
    foldEvents(projection, events),
  );
}
