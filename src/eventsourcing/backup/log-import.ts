import { z } from 'zod';
import { type Database, inTransaction } from '../../platform/database.ts';
import { refusalOf } from '../../platform/failures.ts';
import { migrate } from '../../platform/migrations.ts';
import { insertStoredLines } from '../log/stored-events.ts';
import { column } from '../projections/read-table.ts';
import type { BackupProgress } from './backup.ts';
import { expectEmpty, expectEmptyLocked } from './empty-store.ts';
import { EventLines } from './event-lines.ts';
import { forgetAgain } from './forgotten-again.ts';
import type { Forgotten } from './forgotten-list.ts';
import { BadFile, sizeOf } from './line-file.ts';
import { type ExportHeader, ExportReader } from './log-export.ts';
import { beginEpoch, pause } from './restored-store.ts';
import type { Queries } from './stored-tables.ts';

const BATCH_LINES = 1_000;

/** What a server leaves behind that was started once. */
const EMPTY = ['nodes', 'checkpoints', 'subject_keys', 'rebuilds'];
const KEYS = `
  INSERT INTO subject_keys (subject_id, version, wrapped_key, master_key_id, created_at, destroyed_at)
  SELECT it->>'subject', (it->>'version')::int, it->>'wrapped', it->>'masterKeyId', (it->>'createdAt')::timestamptz,
         (it->>'destroyedAt')::timestamptz
  FROM (SELECT line::jsonb AS it FROM unnest($1::text[]) AS line) AS given
  WHERE NOT it->>'subject' = ANY ($2::text[])`;
const STREAMS = `
  INSERT INTO streams (id, aggregate_type, aggregate_id, version)
  SELECT stream_id, min(aggregate_type), min(aggregate_id), max(version) FROM events GROUP BY stream_id`;
// As they were appended: versions of a stream rise with positions. Of two aggregates whose names joined are the same, one
// is another's.
const BROKEN_STREAM = `
  SELECT position, stream_id AS id, version, nth FROM (
    SELECT position, stream_id, version, aggregate_type, row_number() OVER appended AS nth,
           first_value(aggregate_type) OVER appended AS first_type
    FROM events WINDOW appended AS (PARTITION BY stream_id ORDER BY position)
  ) AS numbered WHERE version <> nth OR aggregate_type <> first_type ORDER BY position LIMIT 1`;
const HEAD = `
  UPDATE log_head SET epoch = $1, position = $2::bigint, recorded_at = coalesce(
    (SELECT recorded_at FROM events WHERE events.position = $2::bigint), to_timestamp(0)
  ) WHERE id = 1`;
// What was under way is not in the log: told of old events anew, processes would send mails and take money once more.
const PROCESSES = `
  INSERT INTO checkpoints (name, version, position, updated_at)
  SELECT 'process:' || name, 0, $2::bigint, now() FROM unnest($1::text[]) AS name`;

const brokenRows = z.array(
  z.object({ position: column.safeInt(), id: z.string(), version: z.number(), nth: column.safeInt() }),
);

/** SQLSTATE classes: a value that is none, or that is there already or must be there. */
const NO_VALUE = /^2[23]/;

export interface ImportSettings {
  readonly database: Database;
  readonly path: string;
  /** Names of all processes of the program. */
  readonly processes: readonly string[];
  readonly forgotten?: readonly Forgotten[];
  /** Called before anything is committed: what it throws leaves the store empty. */
  prepare?(client: Queries): Promise<void>;
  onProgress?(progress: BackupProgress): void;
}

export interface Imported {
  readonly header: ExportHeader;
  readonly epoch: string;
}

/**
 * Fills an empty store with a log, in one transaction. Read tables are folded once a server starts. Commands, and what was
 * queued, are no part of a log: processes go on with what happens from then on.
 * @throws {BadFile} the file cannot be used @throws {StoreInUse} @throws what `prepare` throws; nothing was changed
 */
export async function importLog(settings: ImportSettings): Promise<Imported> {
  const { database, path, processes, forgotten = [], prepare, onProgress } = settings;
  const total = await sizeOf(path);
  const isAlone = database.engine === 'pglite';
  await expectEmpty(database.log, isAlone);
  // To its end: so that nothing is done for a file that is not whole.
  const checked = await ExportReader.open(path);
  for await (const _ of checked.items());
  await migrate(database);
  const imported = await inTransaction(database, async (client) => {
    await expectEmptyLocked(client, isAlone);
    for (const table of EMPTY) await client.query(`DELETE FROM ${table}`);
    const reader = await ExportReader.open(path, (done) => onProgress?.({ done, total }));
    const { header } = reader;
    try {
      await fill(
        client,
        reader,
        forgotten.map(({ subject }) => subject),
      );
    } finally {
      await reader.close();
    }
    await expectStreams(client);
    await client.query(STREAMS);
    await client.query(HEAD, header.epoch, header.position);
    await client.query(PROCESSES, processes, header.position);
    await forgetAgain(client, forgotten);
    await prepare?.(client);
    const { epoch } = await beginEpoch(client);
    await pause(client, `It was imported from a log of ${header.createdAt}.`);
    return { header, epoch };
  });
  await database.log.query('ANALYZE');
  return imported;
}

/** @throws {BadFile} a line is none that a server can read, or events are missing: the file was made otherwise */
async function fill(client: Queries, reader: ExportReader, forgotten: readonly string[]): Promise<void> {
  const checked = new EventLines();
  let events: string[] = [];
  let keys: string[] = [];
  // The header is the first.
  let number = 1;
  const write = async () => {
    try {
      if (events.length > 0) await client.query(insertStoredLines('$1'), events);
      if (keys.length > 0) await client.query(KEYS, keys, forgotten);
    } catch (error) {
      const why = refusalOf(error, NO_VALUE);
      if (why === undefined) throw error;
      const first = number - events.length - keys.length + 1;
      throw new BadFile(`Of lines ${first} to ${number} of the file, one cannot be stored: ${why}.`);
    }
    events = [];
    keys = [];
  };
  for await (const item of reader.items()) {
    number += 1;
    if ('event' in item) {
      checked.check(item.event, number);
      events.push(item.event);
    } else keys.push(item.key);
    if (events.length + keys.length >= BATCH_LINES) await write();
  }
  await write();
  const { position } = reader.header;
  if (checked.position !== position) throw new BadFile(`The file does not hold all events up to position ${position}.`);
}

/** @throws {BadFile} */
async function expectStreams(client: Queries): Promise<void> {
  const [broken] = brokenRows.parse(await client.query(BROKEN_STREAM));
  if (broken === undefined) return;
  const { position, id, version, nth } = broken;
  throw new BadFile(
    version === nth
      ? `Event ${position} is of another aggregate than the events before it in ${id}.`
      : `The file does not hold all events of ${id} in order: event ${position} is its version ${version}, where ${nth} follows.`,
  );
}
