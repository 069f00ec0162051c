import { randomUUID } from 'node:crypto';
import { expect, vi } from 'vitest';
import { z } from 'zod';
import { operationsContext } from '../../src/contexts/operations/index.ts';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import type { CommandOutcome } from '../../src/eventsourcing/commands/command.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import type { Projection } from '../../src/eventsourcing/projections/projection.ts';
import type { RebuildRow, RebuildStatus } from '../../src/eventsourcing/projections/rebuild-store.ts';
import type { Database } from '../../src/platform/database.ts';

/** What operators can do, for an engine that has none of the shop. */
export const operations = operationsContext.aggregates;

type Named = Pick<Projection, 'name'>;

/** Runs a command of operators. */
export function operate(engine: Engine, name: string, data: object): Promise<CommandOutcome> {
  const commandId = randomUUID();
  return engine.executor.execute({ commandId, name, data, actor: SYSTEM, correlationId: commandId });
}

/** Begins a rebuild, which must be possible. */
export async function beginRebuild(engine: Engine, { name }: Named): Promise<void> {
  expect(await operate(engine, 'RebuildProjection', { name })).toMatchObject({ outcome: 'succeeded' });
}

/** The rebuild that was begun last. */
export async function rebuildOf(engine: Engine, { name }: Named): Promise<RebuildRow | null> {
  return (await engine.projections.find([name])).get(name)?.rebuild ?? null;
}

/** Waits until the rebuild that was begun last has a status. */
export function untilRebuild(engine: Engine, named: Named, ...wanted: RebuildStatus[]): Promise<RebuildRow> {
  return vi.waitFor(
    async () => {
      const row = await rebuildOf(engine, named);
      if (row === null || !wanted.includes(row.status)) throw new Error(`The rebuild is ${JSON.stringify(row)}.`);
      return row;
    },
    { timeout: 60_000, interval: 20 },
  );
}

/** Begins a rebuild and waits until the rebuilt rows are the live ones. */
export async function rebuilt(engine: Engine, named: Named): Promise<RebuildRow> {
  await beginRebuild(engine, named);
  return untilRebuild(engine, named, 'SWAPPED');
}

const nameRow = z.object({ name: z.string() });

/** What a table is made of, by name: its columns, indexes, constraints, rights. */
export async function structureOf({ log }: Database, table: string): Promise<string[]> {
  const rows = await log.query(
    `SELECT indexdef AS name FROM pg_indexes WHERE tablename = $1
     UNION ALL SELECT conname || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = $1::regclass
     UNION ALL SELECT concat_ws(' ', ordinal_position, column_name, data_type, collation_name, column_default, is_nullable)
       FROM information_schema.columns WHERE table_name = $1
     UNION ALL SELECT DISTINCT grantee || ' ' || privilege_type FROM information_schema.role_table_grants WHERE table_name = $1
     ORDER BY 1`,
    table,
  );
  return rows.map((row) => nameRow.parse(row).name);
}

/** Tables that rebuilds have left behind. */
export async function shadowTables({ log }: Database): Promise<string[]> {
  const rows = await log.query(`SELECT relname::text AS name FROM pg_class WHERE relname LIKE '%\\_rebuild'`);
  return rows.map((row) => nameRow.parse(row).name);
}

/** Waits until no rebuild has left a table behind: while somebody writes to it, it is tried again. */
export function withoutShadows(database: Database): Promise<void> {
  return vi.waitFor(async () => expect(await shadowTables(database)).toEqual([]), { timeout: 60_000 });
}
