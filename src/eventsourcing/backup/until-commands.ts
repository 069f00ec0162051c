import { z } from 'zod';
import type { Queries } from './stored-tables.ts';

/** What the program knows of a store, and the database does not. */
export interface KnownOfProgram {
  /** What is folded from the log, and can be folded anew. */
  readonly readTables: readonly string[];
  /**
   * What of read tables is somebody's own (`table.column`), by the column that says whose. Of a backup of before it was
   * renamed, it has to be named here as it was, too.
   */
  readonly personal: ReadonlyMap<string, string>;
  /** Names of commands whose work lies outside: each has a lane of its own. */
  readonly performed: readonly string[];
  /** Names of commands of which something ends with them. */
  readonly secretive: readonly string[];
}

/** Where it goes back to. */
export interface Point {
  readonly position: number;
  /** SQL: what was submitted later is left out. */
  readonly instant: string;
}

/** What became of commands that had not ended at the point that a store went back to. */
export interface CommandsBack {
  /** How many are queued again. */
  readonly queued: number;
  /** How many of them cannot be run, since what was secret in them is wiped: they are dead letters. */
  readonly dead: number;
  /** How many that a process ends are under way again. */
  readonly running: number;
  /** How many of those queued had failed by then, and are the dead letters again that they were. */
  readonly failed: number;
  /** Clients' own, submitted by then, and run afterwards: they are left out, as they would not have been answered. */
  readonly unanswered: { readonly count: number; readonly first: readonly string[] };
}

/** So many are named. */
const MAX_NAMED = 20;
const MAX_PASSES = 100;

const WIPED = 'What was secret in it was wiped when it ended, before the store went back: it cannot be run again.';

const countRow = z.tuple([z.object({ count: z.number() })]);
const idRows = z.array(z.object({ id: z.string() }));

// A backup of before there was that column is given it only once it has gone back: what can be told then, as the migration does.
const WAS_QUEUED = `coalesce((to_jsonb(c)->>'was_queued')::boolean, c.due_at IS NOT NULL OR c.deadline IS NOT NULL)`;

/**
 * What becomes of each command that was not there, or had not ended.
 *
 * A client's own that was run at once never was in the queue: it is not run again, for it may be the very mishap. That of a
 * process, one that another command had sent, and one that was accepted to be run later had been queued.
 */
const fates = ({ position, instant }: Point) => `
  CREATE TEMP TABLE fates ON COMMIT DROP AS
  SELECT c.command_id,
         CASE WHEN c.submitted_at > ${instant} OR undone.event_id IS NOT NULL THEN 'LEFT_OUT'
              WHEN c.first_position + c.event_count - 1 <= ${position} THEN 'RUNNING'
              WHEN c.actor_kind = 'PROCESS' OR c.issuer_type IS NOT NULL OR ${WAS_QUEUED} THEN 'QUEUED'
              WHEN c.actor_kind = 'SERVICE' AND EXISTS (
                SELECT FROM commands AS cause WHERE cause.command_id = c.causation_id
              ) THEN 'QUEUED'
              ELSE 'UNANSWERED' END AS fate
  FROM commands AS c LEFT JOIN undone_events AS undone ON undone.event_id = c.causation_id
  WHERE c.submitted_at > ${instant} OR undone.event_id IS NOT NULL OR c.position > ${position}
     OR (c.position IS NULL AND c.finished_at > ${instant} AND c.status <> 'FAILED')`;

/** What they caused will be caused again, under the same ids. */
const SPREAD = [
  `WITH added AS (
     INSERT INTO fates
     SELECT c.command_id, 'LEFT_OUT' FROM commands AS c JOIN fates AS cause ON cause.command_id = c.causation_id
     WHERE cause.fate <> 'RUNNING' AND NOT EXISTS (SELECT FROM fates AS known WHERE known.command_id = c.command_id)
     RETURNING 1
   ) SELECT count(*)::int AS count FROM added`,
  `WITH changed AS (
     UPDATE fates SET fate = 'LEFT_OUT' FROM commands AS c JOIN fates AS cause ON cause.command_id = c.causation_id
     WHERE c.command_id = fates.command_id AND fates.fate = 'QUEUED' AND cause.fate <> 'RUNNING'
     RETURNING 1
   ) SELECT count(*)::int AS count FROM changed`,
];

/**
 * A process is given again whatever it had not been given yet, or by a message that is left out: those that it knows are
 * recognised by their ids.
 */
const feedAgain = ({ position }: Point) => [
  `UPDATE checkpoints AS mine
   SET position = least(mine.position, ${position}, (
     SELECT min(e.position) - 1
     FROM fates JOIN commands AS m ON m.command_id = fates.command_id JOIN events AS e ON e.event_id = m.causation_id
     WHERE fates.fate = 'LEFT_OUT' AND m.name = substr(mine.name, 9) || '.message' AND e.position <= ${position}
   ))
   WHERE mine.name LIKE 'process:%'`,
  `DELETE FROM parked_events AS parked USING checkpoints AS mine
   WHERE mine.name = parked.source AND parked.source LIKE 'process:%' AND parked.position > mine.position`,
  `DELETE FROM dead_letters AS letter USING checkpoints AS mine
   WHERE mine.name = letter.source AND letter.source LIKE 'process:%' AND letter.position > mine.position`,
];

const leaveOut = ({ instant }: Point) => [
  `DELETE FROM command_queue AS queued USING fates WHERE fates.command_id = queued.command_id`,
  `DELETE FROM dead_letters AS letter USING fates
   WHERE letter.subject = fates.command_id::text AND letter.position IS NULL
     AND NOT (fates.fate = 'QUEUED' AND letter.failed_at <= ${instant} AND letter.resolved_at > ${instant})`,
  `DELETE FROM commands USING fates
   WHERE fates.command_id = commands.command_id AND fates.fate IN ('LEFT_OUT', 'UNANSWERED')`,
];

/** Before all that is queued still, in the order in which they were queued, and then were run. */
const QUEUE = `
  INSERT INTO command_queue (seq, command_id, lane, due_at, is_delayed, is_performed, deadline, timer)
  SELECT (SELECT coalesce(min(queued.seq), 1) FROM command_queue AS queued) - row_number() OVER (
           ORDER BY c.submitted_at DESC, cause.position DESC NULLS FIRST, c.first_position DESC NULLS FIRST, c.command_id
         ),
         c.command_id,
         c.aggregate_type || '-' || c.aggregate_id || CASE WHEN c.name = ANY ($1::text[]) THEN '/' || c.command_id ELSE '' END,
         coalesce(c.due_at, c.submitted_at), coalesce(c.due_at > c.submitted_at, false), c.name = ANY ($1::text[]),
         c.deadline, CASE WHEN c.name = c.aggregate_type || '.timer' THEN c.input->>'timer' END
  FROM fates JOIN commands AS c ON c.command_id = fates.command_id
  LEFT JOIN events AS cause ON cause.event_id = c.causation_id
  WHERE fates.fate = 'QUEUED'`;
const QUEUED = `
  WITH again AS (
    UPDATE commands
    SET status = 'QUEUED', attempts = 0, rejection = NULL, error = NULL, version = NULL, first_position = NULL,
        event_count = 0, position = NULL, finished_at = NULL
    FROM fates WHERE fates.command_id = commands.command_id AND fates.fate = 'QUEUED'
    RETURNING 1
  ) SELECT count(*)::int AS count FROM again`;

/** They wait as dead letters: an operator sees them, and drops them, which their process is told. */
const DEAD = `
  WITH dead AS (
    UPDATE commands SET status = 'FAILED', error = $2, finished_at = clock_timestamp()
    FROM fates
    WHERE fates.command_id = commands.command_id AND fates.fate = 'QUEUED' AND commands.secrets IS NULL
      AND commands.name = ANY ($1::text[])
    RETURNING commands.command_id, commands.name, commands.input
  ), letters AS (
    INSERT INTO dead_letters (id, source, subject, lane, payload, error, attempts, status, failed_at)
    SELECT gen_random_uuid(), 'command', dead.command_id::text, queued.lane,
           jsonb_build_object('command', dead.name, 'input', dead.input), $2, 0, 'OPEN', clock_timestamp()
    FROM dead JOIN command_queue AS queued ON queued.command_id = dead.command_id
    ON CONFLICT (source, subject) DO UPDATE
    SET error = EXCLUDED.error, attempts = 0, status = 'OPEN', reason = NULL, failed_at = EXCLUDED.failed_at, resolved_at = NULL
    RETURNING id, subject
  ), parked AS (
    UPDATE command_queue AS queued SET dead_letter_id = letters.id
    FROM letters WHERE queued.command_id = letters.subject::uuid
    RETURNING 1
  ) SELECT count(*)::int AS count FROM letters`;

/** What had failed by then, and was tried again later, waits for an operator again. */
const FAILED = `
  WITH letters AS (
    UPDATE dead_letters AS letter SET status = 'OPEN', reason = NULL, resolved_at = NULL
    FROM fates
    WHERE fates.fate = 'QUEUED' AND letter.subject = fates.command_id::text AND letter.position IS NULL
      AND letter.status <> 'OPEN'
    RETURNING letter.id, fates.command_id, letter.error, letter.attempts, letter.failed_at
  ), failed AS (
    UPDATE commands SET status = 'FAILED', error = letters.error, attempts = letters.attempts, finished_at = letters.failed_at
    FROM letters WHERE commands.command_id = letters.command_id
    RETURNING 1
  ), parked AS (
    UPDATE command_queue AS queued SET dead_letter_id = letters.id
    FROM letters WHERE queued.command_id = letters.command_id
    RETURNING 1
  ) SELECT count(*)::int AS count FROM letters`;

/** What a process ended later is not ended yet. */
const RUNNING = `
  WITH again AS (
    UPDATE commands AS c
    SET status = 'RUNNING', rejection = NULL, finished_at = NULL, position = c.first_position + c.event_count - 1,
        version = (
          SELECT max(e.version) FROM events AS e
          WHERE e.position BETWEEN c.first_position AND c.first_position + c.event_count - 1
            AND e.stream_id = c.aggregate_type || '-' || c.aggregate_id
        )
    FROM fates WHERE fates.command_id = c.command_id AND fates.fate = 'RUNNING'
    RETURNING 1
  ) SELECT count(*)::int AS count FROM again`;

/** Commands that had failed by then, and were given up later, wait for somebody's decision again. */
const reopen = ({ instant }: Point) => `
  WITH letters AS (
    UPDATE dead_letters SET status = 'OPEN', resolved_at = NULL, reason = NULL
    WHERE status = 'DROPPED' AND resolved_at > ${instant} AND failed_at <= ${instant} AND position IS NULL
      AND EXISTS (SELECT FROM commands AS c WHERE c.command_id::text = subject AND c.status = 'FAILED')
    RETURNING id, subject, lane
  )
  INSERT INTO command_queue (command_id, lane, due_at, is_delayed, is_performed, deadline, dead_letter_id)
  SELECT c.command_id, letters.lane, coalesce(c.due_at, c.submitted_at), false, c.name = ANY ($1::text[]), c.deadline,
         letters.id
  FROM letters JOIN commands AS c ON c.command_id::text = letters.subject
  ON CONFLICT (command_id) DO NOTHING`;

/** Takes commands and the queue back to a point. The events after it are still there, and named in `undone_events`. */
export async function takeCommandsBack(
  client: Queries,
  point: Point,
  { performed, secretive }: KnownOfProgram,
): Promise<CommandsBack> {
  const counted = async (sql: string, ...parameters: unknown[]) =>
    countRow.parse(await client.query(sql, ...parameters))[0].count;
  await client.query(fates(point));
  await client.query('CREATE UNIQUE INDEX ON fates (command_id)');
  for (let pass = 0; pass < MAX_PASSES; pass += 1) {
    let changed = 0;
    for (const sql of SPREAD) changed += await counted(sql);
    if (changed === 0) break;
  }
  const count = await counted(`SELECT count(*)::int AS count FROM fates WHERE fate = 'UNANSWERED'`);
  const first = idRows.parse(
    await client.query(
      `SELECT command_id::text AS id FROM fates WHERE fate = 'UNANSWERED' ORDER BY 1 LIMIT ${MAX_NAMED}`,
    ),
  );
  for (const sql of [...feedAgain(point), ...leaveOut(point)]) await client.query(sql);
  await client.query(QUEUE, performed);
  const queued = await counted(QUEUED);
  const dead = await counted(DEAD, secretive, WIPED);
  const failed = await counted(FAILED);
  const running = await counted(RUNNING);
  await client.query(reopen(point), performed);
  return { queued, dead, failed, running, unanswered: { count, first: first.map(({ id }) => id) } };
}
