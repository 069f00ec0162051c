import { z } from 'zod';
import { type Database, inTransaction } from '../../platform/database.ts';
import { appliedMigrations, knownMigrations } from '../../platform/migrations.ts';
import { BACKUP_FORMAT, BACKUP_VERSION, type BackupHeader, type TableLine } from './backup-format.ts';
import { BadFile, LineWriter } from './line-file.ts';
import { type Queries, quoted, type StoredTable, storedSequences, storedTables } from './stored-tables.ts';

/** About so much is read in one statement. */
const BATCH_BYTES = 2 ** 20;
const MAX_BATCH_ROWS = 5_000;
const ATTEMPTS = 10;

/** Texts are the same whatever the server's settings are, and lose nothing. */
const EXACT_TEXTS = `
  SELECT set_config('TimeZone', 'UTC', true), set_config('DateStyle', 'ISO, YMD', true),
         set_config('IntervalStyle', 'postgres', true), set_config('extra_float_digits', '1', true),
         set_config('bytea_output', 'hex', true), set_config('search_path', 'public', true)`;
const HEAD = `
  SELECT epoch, position::text, to_char(recorded_at, 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') AS "recordedAt"
  FROM log_head WHERE id = 1`;

const headRow = z.tuple([z.object({ epoch: z.string(), position: z.coerce.number(), recordedAt: z.string() })]);
const counted = z.tuple([z.object({ count: z.coerce.number() })]);
const lineRows = z.array(z.object({ line: z.string() }));

export interface BackupProgress {
  readonly done: number;
  readonly total: number;
}

/** The tables changed between being looked at and being locked: a rebuild began or ended. */
class TablesChanged extends Error {}

/**
 * Writes all that a store holds to a file, as of one instant, while it goes on to be used. It is there whole or not at all.
 * @param path or `-` for standard output
 * @throws {BadFile} it cannot be written, or the store is of another version
 */
export async function backUp(
  database: Database,
  path: string,
  onProgress: (progress: BackupProgress) => void = () => {},
): Promise<BackupHeader> {
  const writer = await LineWriter.create(path, true);
  try {
    const header = await writeStore(database, writer, onProgress);
    await writer.end();
    return header;
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

async function writeStore(
  database: Database,
  writer: LineWriter,
  onProgress: (progress: BackupProgress) => void,
): Promise<BackupHeader> {
  for (let attempt = 1; ; attempt += 1) {
    const migrations = await appliedMigrations(database.log);
    if (!migrations.some((name) => name.endsWith('_paused'))) {
      throw new BadFile('The store has not the tables of this version yet: npx cartstream migrate brings them to it.');
    }
    const known = new Set(knownMigrations());
    if (migrations.some((name) => !known.has(name))) {
      throw new BadFile(
        'The store is of a newer version of cartstream, and has tables that are not known here: use that one.',
      );
    }
    const seen = await storedTables(database.log);
    try {
      return await inTransaction(
        database,
        async (client) => {
          // Locks before anything is read: so no rebuild can put another table in the place of one of these afterwards,
          // which would be empty as of the instant that this transaction sees.
          await client.query(`LOCK TABLE ${seen.map(({ name }) => quoted(name)).join(', ')} IN ACCESS SHARE MODE`);
          await client.query(EXACT_TEXTS);
          const tables = await storedTables(client);
          if (JSON.stringify(tables) !== JSON.stringify(seen)) throw new TablesChanged();
          return await writeTables(client, { tables, migrations, engine: database.engine }, writer, onProgress);
        },
        { isSnapshot: true },
      );
    } catch (error) {
      const isPassing = error instanceof TablesChanged || isTableGone(error);
      if (!isPassing || attempt === ATTEMPTS) throw error;
    }
  }
}

/** It was that of a rebuild that has ended. */
function isTableGone(error: unknown): boolean {
  return error instanceof Error && error.message.includes('42P01');
}

async function writeTables(
  client: Queries,
  { tables, migrations, engine }: { tables: readonly StoredTable[]; migrations: readonly string[]; engine: string },
  writer: LineWriter,
  onProgress: (progress: BackupProgress) => void,
): Promise<BackupHeader> {
  const [head] = headRow.parse(await client.query(HEAD));
  let total = 0;
  for (const { name } of tables) {
    total += counted.parse(await client.query(`SELECT count(*)::text AS count FROM ${quoted(name)}`))[0].count;
  }
  const header: BackupHeader = {
    format: BACKUP_FORMAT,
    version: BACKUP_VERSION,
    ...head,
    createdAt: new Date().toISOString(),
    engine,
    migrations: [...migrations],
    rows: total,
    // Those may be ahead of the rows: it is the way in which they are to differ.
    sequences: await storedSequences(client),
  };
  await writer.write([JSON.stringify(header)]);
  let done = 0;
  for (const table of tables) {
    const names = table.columns.map(({ name }) => name);
    await writer.write([JSON.stringify({ table: table.name, columns: names } satisfies TableLine)]);
    for await (const lines of rowsOf(client, table)) {
      await writer.write(lines);
      done += lines.length;
      onProgress({ done, total });
    }
  }
  return header;
}

async function* rowsOf(client: Queries, { name, columns }: StoredTable): AsyncGenerator<string[]> {
  const cursor = quoted(`rows of ${name}`);
  const texts = columns.map((column) => `${quoted(column.name)}::text`).join(', ');
  await client.query(
    `DECLARE ${cursor} NO SCROLL CURSOR FOR SELECT array_to_json(ARRAY[${texts}])::text AS line FROM ${quoted(name)}`,
  );
  for (let limit = 50; ; ) {
    const lines = lineRows.parse(await client.query(`FETCH ${limit} FROM ${cursor}`)).map(({ line }) => line);
    if (lines.length === 0) break;
    yield lines;
    const each = lines.reduce((sum, line) => sum + line.length, 0) / lines.length;
    limit = Math.max(1, Math.min(MAX_BATCH_ROWS, limit * 4, Math.floor(BATCH_BYTES / each)));
  }
  await client.query(`CLOSE ${cursor}`);
}
