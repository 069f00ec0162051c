import { type Database, inTransaction } from '../../platform/database.ts';
import { appliedMigrations, knownMigrations, migrate } from '../../platform/migrations.ts';
import type { BackupProgress } from './backup.ts';
import { type BackupHeader, BackupReader, type TableLine } from './backup-format.ts';
import { type EmptyStore, expectEmpty, expectEmptyLocked, expectNoReferences } from './empty-store.ts';
import { forgetAgain } from './forgotten-again.ts';
import type { Forgotten } from './forgotten-list.ts';
import { BadFile, sizeOf } from './line-file.ts';
import { beginEpoch, pause } from './restored-store.ts';
import {
  foreignTables,
  type Queries,
  quoted,
  type StoredTable,
  storedSequences,
  storedTables,
} from './stored-tables.ts';
import { goBackTo, type Until, type WentBack } from './until.ts';
import type { KnownOfProgram } from './until-commands.ts';

/** About so much is written in one statement. */
const BATCH_CHARACTERS = 2 ** 20;
const MAX_BATCH_ROWS = 2_000;

/**
 * What ran when the backup was made does not run any more: nobody has claimed anything, and no attempt has failed. A
 * rebuild that was under way begins anew, for its table is not in the backup.
 */
const NOBODY_IS_AT_WORK = [
  'UPDATE command_queue SET owner = NULL, attempts = greatest(attempts - 1, 0) WHERE owner IS NOT NULL',
  'UPDATE checkpoints SET owner = NULL, attempted = -1, attempts = 0',
  'UPDATE rebuilds SET owner = NULL, shadow = NULL',
  `UPDATE rebuilds SET status = 'RUNNING', position = 0, to_version = NULL, attempts = 0 WHERE is_under_way(rebuilds)`,
];
const SET_SEQUENCE = 'SELECT setval($1::regclass, $2::text::bigint, $3::boolean)::text';

export interface RestoreSettings {
  readonly database: Database;
  readonly path: string;
  /** Whoever was forgotten after the backup was made: they stay so. */
  readonly forgotten?: readonly Forgotten[];
  /** All that came after this is left out. */
  readonly until?: Until | undefined;
  readonly known: KnownOfProgram;
  /** Called before anything is committed: what it throws leaves the store empty. */
  prepare?(client: Queries): Promise<void>;
  /** Of checking the file, then of restoring it: in bytes of the file. */
  onProgress?(step: 'checking' | 'restoring', progress: BackupProgress): void;
}

export interface Restored {
  readonly header: BackupHeader;
  readonly epoch: string;
  readonly position: number;
  /** How many of those who were forgotten could be read again by this backup. */
  readonly forgottenAgain: number;
  /** Tables of the backup, or beside the store, that are none of cartstream's, and were passed over. */
  readonly foreign: readonly string[];
  /** What became of what was under way, where the store went back to before the backup. */
  readonly wentBack: WentBack | undefined;
}

/**
 * Fills an empty store with what a backup holds, in one transaction: a store that could not be restored is as empty as it
 * was. It begins a new epoch, and is paused: what is queued waits until an operator says that it may run.
 * @throws {BadFile} the file cannot be used @throws {StoreInUse} @throws what `prepare` throws; nothing was changed
 */
export async function restoreBackup(settings: RestoreSettings): Promise<Restored> {
  const { database, path, forgotten = [], until, onProgress } = settings;
  const subjects = forgotten.map(({ subject }) => subject);
  const total = await sizeOf(path);
  const isAlone = database.engine === 'pglite';
  const state = await expectEmpty(database.log, isAlone);
  const header = await checkBackup(path, (done) => onProgress?.('checking', { done, total }));
  await makeTables(database, header, state);
  const restored = await inTransaction(database, async (client) => {
    await expectEmptyLocked(client, isAlone);
    const reader = await BackupReader.open(path, (done) => onProgress?.('restoring', { done, total }));
    let foreign: string[];
    try {
      foreign = await fill(client, reader, subjects, settings.known.personal);
    } finally {
      await reader.close();
    }
    const known = new Set((await storedSequences(client)).map(({ name }) => name));
    for (const { name, value, isCalled } of header.sequences.filter(({ name }) => known.has(name))) {
      await client.query(SET_SEQUENCE, `public.${quoted(name)}`, value, isCalled);
    }
    for (const sql of NOBODY_IS_AT_WORK) await client.query(sql);
    const wentBack = until === undefined ? undefined : await goBackTo(client, until, header, settings.known);
    const forgottenAgain = await forgetAgain(client, forgotten);
    await settings.prepare?.(client);
    const head = await beginEpoch(client);
    await pause(client, `It was restored from a backup of ${header.createdAt}.`);
    return { header, ...head, forgottenAgain, wentBack, foreign };
  });
  await migrate(database);
  await database.log.query('ANALYZE');
  return restored;
}

/** Reads a backup to its end. @throws {BadFile} it is not whole, was changed, or is of a newer version */
export async function checkBackup(path: string, onRead?: (bytes: number) => void): Promise<BackupHeader> {
  const reader = await BackupReader.open(path, onRead);
  const known = new Set(knownMigrations());
  const unknown = reader.header.migrations.filter((name) => !known.has(name));
  if (unknown.length > 0) {
    await reader.close();
    throw new BadFile(
      `The backup was made by a newer version of cartstream (its tables are of ${unknown.join(', ')}): restore it with that one.`,
    );
  }
  let isInTable = false;
  for await (const item of reader.items()) {
    if ('table' in item) isInTable = true;
    else if (!isInTable) throw new BadFile('The backup has rows that are of no table.');
  }
  return reader.header;
}

/** The tables as they were in the store that was backed up: what they hold is then brought to this version by migrations. */
async function makeTables(database: Database, { migrations }: BackupHeader, state: EmptyStore): Promise<void> {
  const wanted = new Set(migrations);
  const present = await appliedMigrations(database.log);
  if (state.hasTables && present.some((name) => !wanted.has(name))) {
    throw new BadFile(
      'The backup is of an earlier version of cartstream, and this store has the tables of this one already: restore it ' +
        'into a database that has no tables yet, or a DATA_DIR in which there is no store.',
    );
  }
  await migrate(database, wanted);
}

/** @returns tables, of the backup or of this database, that are none of cartstream's: they are passed over */
async function fill(
  client: Queries,
  reader: BackupReader,
  forgotten: readonly string[],
  personal: KnownOfProgram['personal'],
): Promise<string[]> {
  const tables = new Map((await storedTables(client)).map((table) => [table.name, table]));
  const foreign = new Set(await foreignTables(client));
  const own = ['nodes', ...tables.keys()].map((name) => `public.${quoted(name)}`);
  await expectNoReferences(client, own);
  // Nor what inherits from one of them, or refers to it.
  await client.query(`TRUNCATE ${own.map((name) => `ONLY ${name}`).join(', ')} RESTRICT`);
  let insert = '';
  let lines: string[] = [];
  let characters = 0;
  const write = async () => {
    if (lines.length > 0) await client.query(insert, lines, ...(insert.includes('$2') ? [forgotten] : []));
    lines = [];
    characters = 0;
  };
  for await (const item of reader.items()) {
    if ('table' in item) {
      await write();
      const table = tables.get(item.table.table);
      if (table === undefined) foreign.add(item.table.table);
      insert = table === undefined ? '' : insertInto(table, item.table, personal);
      continue;
    }
    if (insert === '') continue;
    lines.push(item.row);
    characters += item.row.length;
    if (characters >= BATCH_CHARACTERS || lines.length >= MAX_BATCH_ROWS) await write();
  }
  await write();
  return [...foreign].sort();
}

/**
 * Whoever is to be forgotten again is not given their keys in the first place, nor what read tables had of theirs: not even
 * bytes of them are left, and nothing is to be done afterwards.
 */
const VALUES: Readonly<Record<string, (value: string, of: (column: string) => string) => string>> = {
  'subject_keys.wrapped_key': (value, of) =>
    `CASE WHEN ${of('subject_id')} = ANY ($2::text[]) THEN NULL ELSE ${value} END`,
  'subject_keys.destroyed_at': (value, of) =>
    `CASE WHEN ${of('subject_id')} = ANY ($2::text[]) THEN coalesce(${value}, now()) ELSE ${value} END`,
};

/** SQL: makes rows of lines. */
function insertInto(table: StoredTable, given: TableLine, personal: KnownOfProgram['personal']): string {
  const types = new Map(table.columns.map(({ name, type }) => [name, type]));
  const unknown = given.columns.find((name) => !types.has(name));
  if (unknown !== undefined) {
    throw new BadFile(
      `The table ${given.table} of the backup has a column ${unknown}, which is none of cartstream's. Restore it with a store ` +
        'that was migrated and has that column too.',
    );
  }
  const text = (name: string) => `(it->>${given.columns.indexOf(name)})`;
  const values = given.columns.map((name) => {
    const value = `${text(name)}::${types.get(name)}`;
    const column = `${given.table}.${name}`;
    const owner = personal.get(column);
    return owner !== undefined && given.columns.includes(owner)
      ? `CASE WHEN ${text(owner)} = ANY ($2::text[]) THEN NULL ELSE ${value} END`
      : (VALUES[column]?.(value, text) ?? value);
  });
  return `
    INSERT INTO ${quoted(given.table)} (${given.columns.map(quoted).join(', ')})
    SELECT ${values.join(', ')} FROM (SELECT line::jsonb AS it FROM unnest($1::text[]) AS line OFFSET 0) AS given`;
}
