import { z } from 'zod';
import { positionAt } from '../log/log-instants.ts';
import { column } from '../projections/read-table.ts';
import type { BackupHeader } from './backup-format.ts';
import { BadFile } from './line-file.ts';
import { type Queries, quoted, storedTables } from './stored-tables.ts';
import { type CommandsBack, type KnownOfProgram, type Point, takeCommandsBack } from './until-commands.ts';

/** A point in the life of a store: that of an event, or an instant. */
export type Until =
  | { readonly position: number /** That it belongs to, if it is known. */; readonly epoch?: string | undefined }
  | { readonly at: Date };

/** What was left out, and what became of what was under way. */
export interface WentBack extends CommandsBack {
  readonly position: number;
  readonly from: number;
}

const headRow = z.tuple([z.object({ position: column.safeInt() })]);
const wholeRow = z.array(z.object({ position: column.safeInt() }));
const instantRow = z.tuple([z.object({ ms: z.string().regex(/^\d+$/).nullable() })]);

const HEAD = 'SELECT position FROM log_head WHERE id = 1';
// A command's events are there together, or not at all.
const BEFORE_ITS_COMMAND = `
  SELECT c.first_position - 1 AS position FROM events AS e JOIN commands AS c ON c.command_id = e.command_id
  WHERE e.position = $1 AND c.first_position <= $1 AND c.first_position + c.event_count - 1 > $1`;
// All that was there before the next event was recorded.
const INSTANT = `
  SELECT (extract(epoch FROM greatest(
    (SELECT recorded_at FROM events WHERE position = $1), (SELECT recorded_at FROM events WHERE position = $1 + 1) - interval '1 ms'
  )) * 1000)::bigint::text AS ms`;

const AT_HAND = `
  SELECT (SELECT count(*) FROM undone_events) = $2::bigint
    AND ($1 = 0 OR EXISTS (SELECT FROM events WHERE position = $1))
    AND NOT EXISTS (
      SELECT FROM touched_streams AS t WHERE t.version > 0 AND NOT EXISTS (
        SELECT FROM events AS e WHERE e.stream_id = t.stream_id AND e.version = t.version
      )
    ) AND NOT EXISTS (SELECT FROM undone_commands) AS "isAtHand"`;
const atHandRow = z.tuple([z.object({ isAtHand: z.boolean() })]);

/**
 * Takes a restored store back to a point before the end of its log, with all that is derived from it. Read tables are folded
 * anew once a server starts. What was queued at that point, and had not ended by then, is queued again.
 *
 * Whoever was forgotten stays so, also after that point: their keys are not in the backup.
 * @throws {BadFile} the backup does not reach so far
 */
export async function goBackTo(
  client: Queries,
  until: Until,
  { createdAt, epoch }: BackupHeader,
  known: KnownOfProgram,
): Promise<WentBack> {
  const [{ position: from }] = headRow.parse(await client.query(HEAD));
  if ('at' in until ? until.at > new Date(createdAt) : until.position > from) {
    throw new BadFile(`The backup ends at position ${from}, and was made at ${createdAt}: it does not reach so far.`);
  }
  if ('epoch' in until && until.epoch !== undefined && until.epoch !== epoch) {
    throw new BadFile(
      `The position is of another life of the store: those of this backup begin with ${epoch}. Positions of a life before ` +
        'are in a backup that was made then.',
    );
  }
  const point = await pointOf(client, until);
  const { position } = point;
  if ('position' in until && position === from)
    return { position, from, queued: 0, dead: 0, failed: 0, running: 0, unanswered: { count: 0, first: [] } };
  // All that follows is of what is in `events`.
  for (const sql of [
    `CREATE TEMP TABLE undone_events ON COMMIT DROP AS
       SELECT event_id, stream_id, version FROM events WHERE position > ${position}`,
    'CREATE UNIQUE INDEX ON undone_events (event_id)',
    `CREATE TEMP TABLE touched_streams ON COMMIT DROP AS
       SELECT stream_id, min(version) - 1 AS version FROM undone_events GROUP BY stream_id`,
  ]) {
    await client.query(sql);
  }
  await expectAtHand(client, point, from);
  const commands = await takeCommandsBack(client, point, known);
  for (const sql of takeLogBack(point)) await client.query(sql);
  const present = new Set((await storedTables(client)).map(({ name }) => name));
  const readTables = known.readTables.filter((name) => present.has(name)).map(quoted);
  if (readTables.length > 0) await client.query(`TRUNCATE ${readTables.join(', ')}`);
  for (const sql of FOLD_ANEW) await client.query(sql);
  // It looks again at what comes now in the place of what is left out.
  if (present.has('archive_progress'))
    await client.query(`UPDATE archive_progress SET position = least(position, ${position})`);
  if (present.has('log_seals')) await client.query(`DELETE FROM log_seals WHERE position > ${position}`);
  return { ...commands, position, from };
}

/** @throws {BadFile} some of what would be left out, be the end of its stream, or run again, is in the archive */
async function expectAtHand(client: Queries, { position, instant }: Point, from: number): Promise<void> {
  await client.query(`CREATE TEMP TABLE undone_commands ON COMMIT DROP AS SELECT command_id FROM archived_commands
    WHERE first_position + event_count - 1 > ${position} OR (first_position IS NULL AND finished_at > ${instant}) LIMIT 1`);
  const [{ isAtHand }] = atHandRow.parse(await client.query(AT_HAND, position, from - position));
  if (isAtHand) return;
  throw new BadFile(
    `Events or commands of about position ${position} were archived before this backup was made: go back to a later point, or take a ` +
      'backup that is older than that.',
  );
}

async function pointOf(client: Queries, until: Until): Promise<Point> {
  const asked = 'at' in until ? await positionAt(client, until.at) : until.position;
  const [{ position } = { position: asked }] = wholeRow.parse(await client.query(BEFORE_ITS_COMMAND, asked));
  const [{ ms }] = instantRow.parse(await client.query(INSTANT, position));
  return { position, instant: `to_timestamp(${'at' in until ? until.at.getTime() : (ms ?? 0)} / 1000.0)` };
}

function takeLogBack({ position }: Point): string[] {
  return [
    `DELETE FROM events WHERE position > ${position}`,
    'UPDATE streams SET version = t.version FROM touched_streams AS t WHERE streams.id = t.stream_id AND t.version > 0',
    'DELETE FROM streams USING touched_streams AS t WHERE streams.id = t.stream_id AND t.version = 0',
    'DELETE FROM snapshots USING touched_streams AS t WHERE snapshots.stream_id = t.stream_id',
    `UPDATE log_head SET position = ${position}, recorded_at = coalesce(
       (SELECT recorded_at FROM events WHERE events.position = ${position}), to_timestamp(0)
     ) WHERE id = 1`,
  ];
}

/** As before the first event: whatever failed, or was being rebuilt, is of no interest any more. */
const FOLD_ANEW = [
  `UPDATE checkpoints SET position = 0, rows_version = 0, generation = generation + 1 WHERE name LIKE 'projection:%'`,
  `DELETE FROM parked_events WHERE source LIKE 'projection:%'`,
  `DELETE FROM dead_letters WHERE source LIKE 'projection:%'`,
  `UPDATE rebuilds SET status = 'CANCELLED', finished_at = clock_timestamp() WHERE is_under_way(rebuilds)`,
];
