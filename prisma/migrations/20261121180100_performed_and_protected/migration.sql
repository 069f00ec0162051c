-- CreateTable
CREATE TABLE "subject_keys" (
    "subject_id" TEXT NOT NULL,
    "wrapped_key" TEXT,
    "master_key_id" TEXT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "destroyed_at" TIMESTAMPTZ(3),

    CONSTRAINT "subject_keys_pkey" PRIMARY KEY ("subject_id")
);

-- AlterTable
ALTER TABLE "commands" ADD COLUMN "secrets" TEXT[];

-- AlterTable
ALTER TABLE "command_queue" ADD COLUMN "is_performed" BOOLEAN NOT NULL DEFAULT false;

-- DropIndex
DROP INDEX "command_queue_is_delayed_due_at_seq_idx";

-- CreateIndex
CREATE INDEX "command_queue_is_performed_is_delayed_due_at_seq_idx" ON "command_queue"("is_performed", "is_delayed", "due_at", "seq") WHERE ((owner IS NULL) AND (dead_letter_id IS NULL));

-- DropIndex
DROP INDEX "command_queue_blocking_idx";

-- CreateIndex
CREATE INDEX "command_queue_blocking_idx" ON "command_queue"("lane") WHERE ((NOT is_performed) AND ((owner IS NOT NULL) OR (dead_letter_id IS NOT NULL) OR (retry_at IS NOT NULL) OR is_suspect));

-- CreateIndex
CREATE INDEX "command_queue_retry_idx" ON "command_queue"("retry_at") WHERE (retry_at IS NOT NULL);


-- What Prisma's schema language cannot say.

-- Either there is a key, or it was destroyed.
ALTER TABLE "subject_keys" ADD CONSTRAINT "subject_keys_tombstone" CHECK (("wrapped_key" IS NULL) = ("destroyed_at" IS NOT NULL));

-- What is secret in a command's input ends with the command. Its names are kept as long as it is there, so that other
-- commands cost nothing.
CREATE FUNCTION "without_secrets"(p_input jsonb, p_secrets text[]) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT p_input || coalesce((SELECT jsonb_object_agg(secret.name, NULL) FROM unnest(p_secrets) AS secret(name)), '{}')
$$;

-- Stores commands that are to be run later, and puts them into the queue. An id that is stored already changes nothing.
--
-- p_commands  [{id, n: name, t: aggregate type, a: aggregate id, d: input, f: fingerprint, k: actor kind, o: actor id,
--               w: secrets, e: expected version, due: if not now, deadline, timer, c: correlation id, g: causation id,
--               it: issuer type, ii: issuer id, l: lane of its own, if it is performed}]
--
-- Answer: the ids that were not stored yet.
CREATE OR REPLACE FUNCTION "enqueue_commands"(p_commands jsonb, p_now timestamptz) RETURNS uuid[]
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
  queued uuid[];
BEGIN
  IF p_commands IS NULL OR jsonb_array_length(p_commands) = 0 THEN
    RETURN '{}';
  END IF;
  WITH given AS MATERIALIZED (
    SELECT c.*, coalesce(c.l, c.t || '-' || c.a) AS lane FROM ROWS FROM (jsonb_to_recordset(p_commands) AS (
      id uuid, n text, t text, a text, d jsonb, f text, k text, o text, e int, due timestamptz, deadline timestamptz,
      timer text, c uuid, g uuid, it text, ii text, l text, w text[]
    )) WITH ORDINALITY AS c(id, n, t, a, d, f, k, o, e, due, deadline, timer, c, g, it, ii, l, w, place)
  ), stored AS (
    INSERT INTO commands (command_id, name, aggregate_type, aggregate_id, input, fingerprint, actor_kind, actor_id,
                          status, attempts, expected_version, correlation_id, causation_id, issuer_type, issuer_id,
                          submitted_at, due_at, deadline, secrets)
    SELECT id, n, t, a, d, f, k, o, 'QUEUED', 0, e, coalesce(c, id), g, it, ii, p_now, due, deadline, w FROM given
    ON CONFLICT (command_id) DO NOTHING
    RETURNING command_id
  ), lanes AS MATERIALIZED (
    -- Each once: an index entry that this very statement adds would be passed again for each command of its lane.
    SELECT each.lane, (
      SELECT max(before.due_at) FROM command_queue AS before WHERE before.lane = each.lane AND NOT before.is_delayed
    ) AS newest
    FROM (SELECT DISTINCT given.lane FROM given) AS each
  ), placed AS (
    -- Neither a dueAt that has passed nor a clock that jumps back lets a command overtake those queued before it.
    INSERT INTO command_queue (command_id, lane, due_at, is_delayed, is_performed, deadline, timer)
    SELECT given.id, given.lane,
           CASE WHEN given.due > p_now THEN given.due ELSE greatest(p_now, lanes.newest) END,
           coalesce(given.due > p_now, false), given.l IS NOT NULL, given.deadline, given.timer
    FROM given JOIN stored ON stored.command_id = given.id JOIN lanes ON lanes.lane = given.lane
    ORDER BY given.place
    RETURNING command_id
  )
  SELECT coalesce(array_agg(command_id), '{}') INTO queued FROM placed;
  PERFORM tell('queue');
  RETURN queued;
END
$$;

-- Writes the events and commands of a batch, and moves the end of the log.
-- Raises unique_violation if a commandId is there already.
--
-- Beside the members that append_to_log had before, commands have
--   e: expected version, s: status, of one that a process concludes, q: it is there already, and is finished by do_work,
--   w: secrets, of one that a process concludes
CREATE OR REPLACE FUNCTION "write_events"(
  p_streams jsonb, p_commands jsonb, p_events jsonb, p_base bigint, p_instant timestamptz, p_left_out int[]
) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
  WITH given_streams AS MATERIALIZED (
    SELECT s.t || '-' || s.a AS id, s.t AS type, s.a AS aggregate, s.place
    FROM ROWS FROM (jsonb_to_recordset(p_streams) AS (t text, a text)) WITH ORDINALITY AS s(t, a, place)
  ), given_commands AS MATERIALIZED (
    SELECT c.*, coalesce(c.c, c.id) AS correlation_id
    FROM ROWS FROM (jsonb_to_recordset(p_commands) AS (
           unit int, id uuid, stream int, n text, d jsonb, f text, k text, o text, r jsonb, x int, v int, c uuid, g uuid,
           at timestamptz, e int, s text, q boolean, w text[]
         )) WITH ORDINALITY AS c(unit, id, stream, n, d, f, k, o, r, x, v, c, g, at, e, s, q, w, place)
    WHERE NOT c.unit = ANY (p_left_out)
  ), written AS (
    INSERT INTO events (position, event_id, stream_id, aggregate_type, aggregate_id, version, type, schema_version,
                        data, actor_kind, actor_id, command_id, correlation_id, causation_id, recorded_at)
    SELECT p_base + row_number() OVER (ORDER BY e.place), e.id, s.id, s.type, s.aggregate, e.v, e.t, e.w,
           e.d, c.k, c.o, c.id, c.correlation_id, c.id, p_instant
    FROM ROWS FROM (jsonb_to_recordset(p_events) AS (
           unit int, id uuid, stream int, command int, v int, t text, w int, d jsonb
         )) WITH ORDINALITY AS e(unit, id, stream, command, v, t, w, d, place)
    JOIN given_commands AS c ON c.place = e.command
    JOIN given_streams AS s ON s.place = e.stream
    RETURNING command_id, position
  ), done AS (
    SELECT command_id, min(position) AS first, max(position) AS last, count(*)::int AS number FROM written GROUP BY 1
  ), stored AS (
    INSERT INTO commands (command_id, name, aggregate_type, aggregate_id, input, fingerprint, actor_kind, actor_id,
                          status, attempts, rejection, expected_version, version, first_position, event_count, position,
                          correlation_id, causation_id, submitted_at, finished_at, secrets)
    SELECT c.id, c.n, s.type, s.aggregate, c.d, c.f, c.k, c.o,
           CASE WHEN c.r IS NOT NULL THEN 'REJECTED' ELSE coalesce(c.s, 'SUCCEEDED') END, c.x, c.r, c.e, c.v,
           done.first, coalesce(done.number, 0), done.last, c.correlation_id, c.g, c.at,
           CASE WHEN c.r IS NOT NULL OR c.s IS NULL THEN greatest(p_instant, c.at) END, c.w
    FROM given_commands AS c
    JOIN given_streams AS s ON s.place = c.stream
    LEFT JOIN done ON done.command_id = c.id
    WHERE c.q IS NULL
  )
  UPDATE log_head SET position = p_base + appended.number, recorded_at = p_instant
  FROM (SELECT count(*) AS number FROM written) AS appended
  WHERE log_head.id = 1 AND appended.number > 0;
END
$$;

-- What a batch does beside its events: finishes queued commands, queues others, sets and cancels timers, and so on.
-- Raises CS410 if a command is not claimed any more by the node that ran it, CS409 if something that was decided on is
-- no longer so.
--
-- p_work  {claims: [{unit, id, node}], timers: [{unit, lane, timer}] that are cancelled, queue: [{unit, …}] as
--          enqueue_commands takes them, concluded: [{unit, id, r: rejection}], cancelled: [{unit, id}],
--          retried: [{unit, id}], dropped: [{unit, id, reason}]}
CREATE OR REPLACE FUNCTION "do_work"(
  p_work jsonb, p_commands jsonb, p_base bigint, p_instant timestamptz, p_left_out int[]
) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  wanted int;
  found int;
  ids uuid[];
  letters uuid[];
BEGIN
  SELECT count(*) INTO wanted FROM jsonb_to_recordset(p_work->'claims') AS c(unit int) WHERE NOT c.unit = ANY (p_left_out);
  IF wanted > 0 THEN
    DELETE FROM command_queue AS queued
    USING jsonb_to_recordset(p_work->'claims') AS c(unit int, id uuid, node uuid)
    WHERE queued.command_id = c.id AND queued.owner = c.node AND NOT c.unit = ANY (p_left_out);
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found <> wanted THEN
      RAISE EXCEPTION 'a command is claimed by another node' USING ERRCODE = 'CS410';
    END IF;
    WITH finished AS (
      UPDATE commands
      SET status = CASE WHEN c.r IS NOT NULL THEN 'REJECTED' ELSE coalesce(c.s, 'SUCCEEDED') END,
          attempts = c.x, rejection = c.r, version = c.v, first_position = done.first,
          event_count = coalesce(done.number, 0), position = done.last, error = NULL,
          finished_at = CASE WHEN c.r IS NOT NULL OR c.s IS NULL THEN greatest(p_instant, submitted_at) END,
          -- One that a process is to conclude goes on, and what is secret with it.
          input = CASE WHEN commands.secrets IS NULL OR (c.r IS NULL AND c.s IS NOT NULL) THEN commands.input
                       ELSE without_secrets(commands.input, commands.secrets) END,
          secrets = CASE WHEN c.r IS NULL AND c.s IS NOT NULL THEN commands.secrets END
      FROM jsonb_to_recordset(p_commands) AS c(unit int, id uuid, q boolean, s text, r jsonb, v int, x int)
      LEFT JOIN (
        SELECT command_id, min(position) AS first, max(position) AS last, count(*)::int AS number
        FROM events WHERE position > p_base GROUP BY 1
      ) AS done ON done.command_id = c.id
      WHERE commands.command_id = c.id AND c.q AND NOT c.unit = ANY (p_left_out)
      RETURNING commands.command_id, commands.status, commands.issuer_type
    )
    SELECT array_agg(command_id) INTO ids FROM finished WHERE status = 'REJECTED' AND issuer_type IS NOT NULL;
    PERFORM tell_issuers(ids, 'REJECTED', p_instant);
  END IF;

  IF p_work ? 'timers' THEN
    WITH gone AS (
      DELETE FROM command_queue AS queued
      USING jsonb_to_recordset(p_work->'timers') AS t(unit int, lane text, timer text)
      WHERE queued.lane = t.lane AND queued.timer = t.timer AND queued.owner IS NULL AND queued.dead_letter_id IS NULL
        AND NOT t.unit = ANY (p_left_out)
      RETURNING queued.command_id
    )
    UPDATE commands SET status = 'CANCELLED', finished_at = p_instant FROM gone WHERE commands.command_id = gone.command_id;
  END IF;

  IF p_work ? 'queue' THEN
    PERFORM enqueue_commands((
      SELECT jsonb_agg(it.value ORDER BY it.ordinality) FROM jsonb_array_elements(p_work->'queue') WITH ORDINALITY AS it
      WHERE NOT (it.value->>'unit')::int = ANY (p_left_out)
    ), p_instant);
  END IF;

  IF p_work ? 'concluded' THEN
    WITH concluded AS (
      -- The end of this very batch: whoever reads from there on sees all that the process did.
      UPDATE commands
      SET status = CASE WHEN c.r IS NULL THEN 'SUCCEEDED' ELSE 'REJECTED' END, rejection = c.r,
          position = (SELECT position FROM log_head WHERE log_head.id = 1), finished_at = p_instant,
          version = (
            SELECT streams.version FROM streams WHERE streams.id = commands.aggregate_type || '-' || commands.aggregate_id
          ),
          input = CASE WHEN commands.secrets IS NULL THEN commands.input ELSE without_secrets(commands.input, commands.secrets) END,
          secrets = NULL
      FROM jsonb_to_recordset(p_work->'concluded') AS c(unit int, id uuid, r jsonb)
      WHERE commands.command_id = c.id AND commands.status = 'RUNNING' AND NOT c.unit = ANY (p_left_out)
      RETURNING commands.command_id, commands.status, commands.issuer_type
    )
    SELECT array_agg(command_id) INTO ids FROM concluded WHERE status = 'REJECTED' AND issuer_type IS NOT NULL;
    PERFORM tell_issuers(ids, 'REJECTED', p_instant);
  END IF;

  IF p_work ? 'cancelled' THEN
    SELECT array_agg(c.id) INTO ids FROM jsonb_to_recordset(p_work->'cancelled') AS c(unit int, id uuid)
    WHERE NOT c.unit = ANY (p_left_out);
    DELETE FROM command_queue AS queued
    WHERE queued.command_id = ANY (ids) AND queued.owner IS NULL AND queued.dead_letter_id IS NULL;
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found <> coalesce(cardinality(ids), 0) THEN
      RAISE EXCEPTION 'a command is not waiting any more' USING ERRCODE = 'CS409';
    END IF;
    UPDATE commands
    SET status = 'CANCELLED', finished_at = p_instant,
        input = CASE WHEN commands.secrets IS NULL THEN commands.input ELSE without_secrets(commands.input, commands.secrets) END,
        secrets = NULL
    WHERE command_id = ANY (ids);
    PERFORM tell_issuers(ids, 'CANCELLED', p_instant);
  END IF;

  IF p_work ? 'retried' THEN
    SELECT array_agg(c.id) INTO letters FROM jsonb_to_recordset(p_work->'retried') AS c(unit int, id uuid)
    WHERE NOT c.unit = ANY (p_left_out);
    UPDATE dead_letters SET status = 'RETRIED', resolved_at = p_instant WHERE id = ANY (letters) AND status = 'OPEN';
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found <> coalesce(cardinality(letters), 0) THEN
      RAISE EXCEPTION 'a dead letter is not open any more' USING ERRCODE = 'CS409';
    END IF;
    WITH freed AS (
      UPDATE command_queue SET dead_letter_id = NULL, attempts = 0, retry_at = NULL
      WHERE dead_letter_id = ANY (letters)
      RETURNING command_id
    )
    UPDATE commands SET status = 'QUEUED', error = NULL, finished_at = NULL
    FROM freed WHERE commands.command_id = freed.command_id;
  END IF;

  IF p_work ? 'dropped' THEN
    SELECT array_agg(c.id) INTO letters FROM jsonb_to_recordset(p_work->'dropped') AS c(unit int, id uuid)
    WHERE NOT c.unit = ANY (p_left_out);
    UPDATE dead_letters SET status = 'DROPPED', reason = c.reason, resolved_at = p_instant
    FROM jsonb_to_recordset(p_work->'dropped') AS c(id uuid, reason text)
    WHERE dead_letters.id = c.id AND c.id = ANY (letters) AND dead_letters.status = 'OPEN';
    GET DIAGNOSTICS found = ROW_COUNT;
    IF found <> coalesce(cardinality(letters), 0) THEN
      RAISE EXCEPTION 'a dead letter is not open any more' USING ERRCODE = 'CS409';
    END IF;
    DELETE FROM parked_events USING dead_letters
    WHERE dead_letters.id = ANY (letters)
      AND parked_events.source = dead_letters.source AND parked_events.position = dead_letters.position;
    WITH gone AS (
      DELETE FROM command_queue WHERE dead_letter_id = ANY (letters) RETURNING command_id
    )
    SELECT array_agg(command_id) INTO ids FROM gone;
    UPDATE commands SET input = without_secrets(input, secrets), secrets = NULL
    WHERE command_id = ANY (ids) AND secrets IS NOT NULL;
    PERFORM tell_issuers(ids, 'DROPPED', p_instant);
  END IF;
END
$$;

-- Claims commands of the queue that are due, in the order of their lanes, and counts the attempt. What is not delayed is
-- due whatever the clock says: its due_at is no more than its place. Of a lane in which something is claimed, failed or
-- waits for its next attempt, nothing is claimed. Those whose deadline has passed are finished as timed out.
--
-- A command whose node died while it ran is a suspect: it may have been the cause, and must not take others with it. So
-- lanes that have one go first, one command at a time, and a node runs it alone: it claims nothing else meanwhile, and
-- finishes before what it has claimed, other than what it performs.
--
-- One node at a time: two that looked at the same moment would each take a part of the same lane. It does not wait for
-- the disk: a claim that a crash forgets is made again.
--
-- p_running  what the node knows that it has claimed. The rest of what carries its id it was never told of, because an
--            answer was lost: that is claimed anew. Whether it was tried nobody knows, so the attempt counts.
-- p_perform  how many performed commands may be among them, however many wait. They have lanes of their own, so that
--            none of them is held up by another.
--
-- Answer: what the commands need to be run, in order; and, with timed_out, those that never will be.
DROP FUNCTION "claim_commands"(uuid, timestamptz, int, uuid[]);
CREATE FUNCTION "claim_commands"(
  p_node uuid, p_now timestamptz, p_limit int, p_running uuid[], p_perform int
)
RETURNS TABLE (
  "command_id" uuid, "name" text, "aggregate_type" text, "aggregate_id" text, "input" jsonb, "fingerprint" text,
  "actor_kind" text, "actor_id" text, "expected_version" int, "correlation_id" uuid, "causation_id" uuid,
  "submitted_at" timestamptz, "due_at" timestamptz, "deadline" timestamptz, "attempts" int, "timed_out" boolean
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_mergejoin = off SET synchronous_commit = off
AS $$
#variable_conflict use_column
DECLARE
  expired uuid[];
  chosen bigint[];
BEGIN
  PERFORM pg_advisory_xact_lock(7267310);
  IF NOT is_alive(p_node) THEN
    RETURN;
  END IF;
  UPDATE command_queue SET owner = NULL WHERE owner = p_node AND NOT command_id = ANY (p_running);
  IF EXISTS (SELECT FROM command_queue WHERE owner = p_node AND is_suspect) THEN
    RETURN;
  END IF;

  WITH gone AS (
    DELETE FROM command_queue AS queued
    WHERE queued.seq = ANY (ARRAY(
      SELECT late.seq FROM command_queue AS late
      WHERE late.deadline IS NOT NULL AND late.deadline <= p_now AND late.owner IS NULL AND late.dead_letter_id IS NULL
      ORDER BY late.deadline LIMIT 1000
    )) AND queued.owner IS NULL AND queued.dead_letter_id IS NULL
    RETURNING queued.command_id, queued.attempts
  ), finished AS (
    UPDATE commands
    SET status = 'TIMED_OUT', finished_at = p_now, attempts = gone.attempts,
        input = CASE WHEN commands.secrets IS NULL THEN commands.input ELSE without_secrets(commands.input, commands.secrets) END,
        secrets = NULL
    FROM gone WHERE commands.command_id = gone.command_id
    RETURNING commands.command_id
  )
  SELECT array_agg(finished.command_id) INTO expired FROM finished;
  IF expired IS NOT NULL THEN
    PERFORM tell_issuers(expired, 'TIMED_OUT', p_now);
    PERFORM tell('work');
  END IF;

  SELECT array_agg(suspect.seq) INTO chosen FROM (
    SELECT first.seq
    FROM (
      SELECT DISTINCT lane FROM command_queue
      WHERE is_suspect AND NOT is_performed AND owner IS NULL AND dead_letter_id IS NULL
    ) AS doubtful
    CROSS JOIN LATERAL (
      SELECT * FROM command_queue AS queued WHERE queued.lane = doubtful.lane ORDER BY queued.due_at, queued.seq LIMIT 1
    ) AS first
    WHERE first.owner IS NULL AND first.dead_letter_id IS NULL AND (first.due_at <= p_now OR NOT first.is_delayed)
      AND (first.retry_at IS NULL OR first.retry_at <= p_now)
    ORDER BY first.due_at, first.seq LIMIT 1
  ) AS suspect;
  IF chosen IS NULL THEN
    WITH blocked AS MATERIALIZED (
      SELECT blocking.lane FROM command_queue AS blocking
      WHERE NOT blocking.is_performed
        AND (blocking.owner IS NOT NULL OR blocking.dead_letter_id IS NOT NULL OR blocking.retry_at IS NOT NULL OR blocking.is_suspect)
        AND (blocking.owner IS NOT NULL OR blocking.dead_letter_id IS NOT NULL OR blocking.retry_at > p_now OR blocking.is_suspect)
    ), due AS (
      (
        SELECT queued.due_at, queued.seq FROM command_queue AS queued
        WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND NOT queued.is_performed AND NOT queued.is_delayed
          AND (queued.deadline IS NULL OR queued.deadline > p_now) AND queued.lane NOT IN (SELECT blocked.lane FROM blocked)
        ORDER BY queued.due_at, queued.seq LIMIT p_limit
      ) UNION ALL (
        SELECT queued.due_at, queued.seq FROM command_queue AS queued
        WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND NOT queued.is_performed AND queued.is_delayed
          AND queued.due_at <= p_now AND (queued.deadline IS NULL OR queued.deadline > p_now) AND queued.lane NOT IN (SELECT blocked.lane FROM blocked)
        ORDER BY queued.due_at, queued.seq LIMIT p_limit
      ) UNION ALL (
        SELECT performed.due_at, performed.seq FROM (
          (
            SELECT queued.due_at, queued.seq FROM command_queue AS queued
            WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND queued.is_performed AND NOT queued.is_delayed
              AND (queued.deadline IS NULL OR queued.deadline > p_now) AND (queued.retry_at IS NULL OR queued.retry_at <= p_now)
            ORDER BY queued.due_at, queued.seq LIMIT p_perform
          ) UNION ALL (
            SELECT queued.due_at, queued.seq FROM command_queue AS queued
            WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND queued.is_performed AND queued.is_delayed
              AND queued.due_at <= p_now
              AND (queued.deadline IS NULL OR queued.deadline > p_now) AND (queued.retry_at IS NULL OR queued.retry_at <= p_now)
            ORDER BY queued.due_at, queued.seq LIMIT p_perform
          )
        ) AS performed
        ORDER BY performed.due_at, performed.seq LIMIT p_perform
      )
    )
    SELECT array_agg(first.seq) INTO chosen FROM (
      SELECT due.seq FROM due ORDER BY due.due_at, due.seq LIMIT p_limit
    ) AS first;
  ELSIF EXISTS (
    SELECT FROM command_queue AS own WHERE own.owner = p_node AND NOT own.is_performed
  ) THEN
    chosen := NULL;
  END IF;

  RETURN QUERY
  WITH claimed AS (
    UPDATE command_queue AS queued SET owner = p_node, attempts = queued.attempts + 1
    WHERE queued.seq = ANY (chosen)
    RETURNING queued.command_id, queued.due_at, queued.seq, queued.attempts, false AS timed_out
  ), told AS (
    SELECT * FROM claimed UNION ALL SELECT late.id, p_now, 0, 0, true FROM unnest(expired) AS late(id)
  )
  SELECT c.command_id, c.name, c.aggregate_type, c.aggregate_id, c.input, c.fingerprint, c.actor_kind, c.actor_id,
         c.expected_version, c.correlation_id, c.causation_id, c.submitted_at, told.due_at, c.deadline, told.attempts,
         told.timed_out
  FROM told JOIN commands AS c ON c.command_id = told.command_id
  ORDER BY told.due_at, told.seq;
END
$$;

-- Gives commands back that were claimed and not finished.
--
-- A dead letter has no secret from the beginning: what is tried again is the command itself.
--
-- p_failures  [{id, isUntried: the attempt does not count, retryAt: not before then; or, for good,
--              error, stack, letter: id of the dead letter}]
CREATE OR REPLACE FUNCTION "give_back_commands"(p_node uuid, p_failures jsonb, p_now timestamptz) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  UPDATE command_queue AS queued
  SET owner = NULL, is_suspect = false, retry_at = f."retryAt",
      attempts = CASE WHEN f."isUntried" THEN greatest(queued.attempts - 1, 0) ELSE queued.attempts END
  FROM jsonb_to_recordset(p_failures) AS f(id uuid, "retryAt" timestamptz, "isUntried" boolean, letter uuid)
  WHERE queued.command_id = f.id AND queued.owner = p_node AND f.letter IS NULL;

  WITH dead AS (
    SELECT f.id, f.error, f.stack, f.letter, queued.lane,
           queued.attempts - CASE WHEN f."isUntried" THEN 1 ELSE 0 END AS attempts
    FROM jsonb_to_recordset(p_failures) AS f(id uuid, error text, stack text, letter uuid, "isUntried" boolean)
    JOIN command_queue AS queued ON queued.command_id = f.id AND queued.owner = p_node
    WHERE f.letter IS NOT NULL
  ), failed AS (
    UPDATE commands SET status = 'FAILED', error = dead.error, attempts = dead.attempts, finished_at = p_now
    FROM dead WHERE commands.command_id = dead.id
    RETURNING commands.command_id, commands.input, commands.secrets, commands.name, commands.aggregate_type,
              commands.actor_kind = 'PROCESS' AND commands.issuer_type IS NULL AS is_of_process
  ), letters AS (
    INSERT INTO dead_letters (id, source, subject, lane, payload, error, stack, attempts, status, failed_at)
    SELECT dead.letter, CASE WHEN failed.is_of_process THEN 'process:' || failed.aggregate_type ELSE 'command' END,
           dead.id::text, dead.lane, jsonb_build_object('command', failed.name, 'input',
             CASE WHEN failed.secrets IS NULL THEN failed.input ELSE without_secrets(failed.input, failed.secrets) END),
           dead.error, dead.stack, dead.attempts, 'OPEN', p_now
    FROM dead JOIN failed ON failed.command_id = dead.id
    ON CONFLICT (source, subject) DO UPDATE
    SET error = EXCLUDED.error, stack = EXCLUDED.stack, attempts = dead_letters.attempts + EXCLUDED.attempts,
        status = 'OPEN', failed_at = EXCLUDED.failed_at, resolved_at = NULL
    RETURNING id, subject
  )
  UPDATE command_queue AS queued
  SET owner = NULL, is_suspect = false, retry_at = NULL, dead_letter_id = letters.id, attempts = dead.attempts
  FROM letters JOIN dead ON dead.id = letters.subject::uuid
  WHERE queued.command_id = dead.id;
  PERFORM tell('work');
END
$$;

-- Puts back what nodes had claimed that are no longer alive. What they performed is not suspected: run one after the
-- other, each alone, many that hang would hold up everything. That their node died counts as an attempt, as ever.
CREATE OR REPLACE FUNCTION "sweep_nodes"() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM nodes WHERE expires_at <= clock_timestamp();
  UPDATE command_queue AS queued SET owner = NULL, is_suspect = NOT queued.is_performed
  WHERE queued.owner IS NOT NULL AND NOT is_alive(queued.owner);
  IF FOUND THEN
    PERFORM tell('queue');
  END IF;
END
$$;
