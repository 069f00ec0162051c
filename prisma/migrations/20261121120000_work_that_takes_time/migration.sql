-- AlterTable
ALTER TABLE "cart_view" ADD COLUMN "merged_into" TEXT;

-- AlterTable
ALTER TABLE "checkpoints" RENAME COLUMN "projection" TO "name";
ALTER TABLE "checkpoints" ADD COLUMN "attempted" BIGINT NOT NULL DEFAULT -1,
ADD COLUMN "attempts" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN "owner" UUID,
ADD COLUMN "parked_changes" INTEGER NOT NULL DEFAULT 0;
-- Processes follow the log beside the projections now.
UPDATE "checkpoints" SET "name" = 'projection:' || "name";

-- AlterTable
ALTER TABLE "commands" ADD COLUMN "deadline" TIMESTAMPTZ(3),
ADD COLUMN "due_at" TIMESTAMPTZ(3),
ADD COLUMN "error" TEXT,
ADD COLUMN "event_count" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN "expected_version" INTEGER,
ADD COLUMN "first_position" BIGINT,
ADD COLUMN "issuer_id" TEXT,
ADD COLUMN "issuer_type" TEXT,
ALTER COLUMN "version" DROP NOT NULL,
ALTER COLUMN "finished_at" DROP NOT NULL;
UPDATE "commands" SET "first_position" = done."first", "event_count" = done."number"
FROM (SELECT "command_id", min("position") AS "first", count(*)::int AS "number" FROM "events" GROUP BY 1) AS done
WHERE done."command_id" = "commands"."command_id";

-- CreateTable
CREATE TABLE "command_queue" (
    "seq" BIGSERIAL NOT NULL,
    "command_id" UUID NOT NULL,
    "lane" TEXT NOT NULL,
    "due_at" TIMESTAMPTZ(3) NOT NULL,
    "is_delayed" BOOLEAN NOT NULL,
    "deadline" TIMESTAMPTZ(3),
    "retry_at" TIMESTAMPTZ(3),
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "owner" UUID,
    "is_suspect" BOOLEAN NOT NULL DEFAULT false,
    "timer" TEXT,
    "dead_letter_id" UUID,

    CONSTRAINT "command_queue_pkey" PRIMARY KEY ("seq")
);

-- CreateTable
CREATE TABLE "nodes" (
    "id" UUID NOT NULL,
    "expires_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "nodes_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "dead_letters" (
    "id" UUID NOT NULL,
    "source" TEXT NOT NULL,
    "subject" TEXT NOT NULL,
    "lane" TEXT NOT NULL,
    "position" BIGINT,
    "payload" JSONB NOT NULL,
    "error" TEXT NOT NULL,
    "stack" TEXT,
    "attempts" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "reason" TEXT,
    "failed_at" TIMESTAMPTZ(3) NOT NULL,
    "resolved_at" TIMESTAMPTZ(3),

    CONSTRAINT "dead_letters_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "parked_events" (
    "source" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "lane" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL DEFAULT 0,

    CONSTRAINT "parked_events_pkey" PRIMARY KEY ("source","position")
);

-- CreateTable
CREATE TABLE "process_view" (
    "id" TEXT NOT NULL,
    "process" TEXT NOT NULL,
    "instance_id" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "correlation_id" UUID NOT NULL,
    "steps" JSONB NOT NULL,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),
    "position" BIGINT NOT NULL,
    "start_position" BIGINT NOT NULL,

    CONSTRAINT "process_view_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE UNIQUE INDEX "command_queue_command_id_key" ON "command_queue"("command_id");

-- CreateIndex
CREATE INDEX "command_queue_is_delayed_due_at_seq_idx" ON "command_queue"("is_delayed", "due_at", "seq") WHERE ((owner IS NULL) AND (dead_letter_id IS NULL));

-- CreateIndex
CREATE INDEX "command_queue_lane_due_at_seq_idx" ON "command_queue"("lane", "due_at", "seq");

-- CreateIndex
CREATE INDEX "command_queue_claimed_idx" ON "command_queue"("owner") WHERE (owner IS NOT NULL);

-- CreateIndex
CREATE INDEX "command_queue_blocking_idx" ON "command_queue"("lane") WHERE ((owner IS NOT NULL) OR (dead_letter_id IS NOT NULL) OR (retry_at IS NOT NULL) OR is_suspect);

-- CreateIndex
CREATE INDEX "command_queue_deadline_idx" ON "command_queue"("deadline") WHERE (deadline IS NOT NULL);

-- CreateIndex
CREATE INDEX "command_queue_dead_idx" ON "command_queue"("dead_letter_id") WHERE (dead_letter_id IS NOT NULL);

-- CreateIndex
CREATE INDEX "dead_letters_source_lane_idx" ON "dead_letters"("source", "lane") WHERE (status = 'OPEN'::text);

-- CreateIndex
CREATE INDEX "dead_letters_failed_at_id_idx" ON "dead_letters"("failed_at", "id");

-- CreateIndex
CREATE UNIQUE INDEX "dead_letters_source_subject_key" ON "dead_letters"("source", "subject");

-- CreateIndex
CREATE INDEX "parked_events_source_lane_position_idx" ON "parked_events"("source", "lane", "position");

-- CreateIndex
CREATE INDEX "process_view_start_position_idx" ON "process_view"("start_position");

-- CreateIndex
CREATE INDEX "process_view_status_start_position_idx" ON "process_view"("status", "start_position");

-- CreateIndex
CREATE INDEX "process_view_correlation_id_idx" ON "process_view"("correlation_id");

-- CreateIndex
CREATE INDEX "commands_submitted_at_command_id_idx" ON "commands"("submitted_at", "command_id");

-- CreateIndex
CREATE INDEX "commands_aggregate_id_submitted_at_idx" ON "commands"("aggregate_id", "submitted_at");

-- CreateIndex
CREATE INDEX "commands_correlation_id_idx" ON "commands"("correlation_id") WHERE (correlation_id <> command_id);

-- CreateIndex
CREATE INDEX "commands_status_submitted_at_idx" ON "commands"("status", "submitted_at") WHERE (status <> 'SUCCEEDED'::text);


-- What Prisma's schema language cannot say.

ALTER TABLE "command_queue" ALTER COLUMN "lane" TYPE TEXT COLLATE "C";
ALTER TABLE "parked_events" ALTER COLUMN "source" TYPE TEXT COLLATE "C", ALTER COLUMN "lane" TYPE TEXT COLLATE "C";

DROP FUNCTION "append_to_log"(jsonb, jsonb, jsonb, timestamptz);
DROP FUNCTION "write_events"(jsonb, jsonb, jsonb, bigint, timestamptz, int[]);
DROP FUNCTION "refused_units"(jsonb, jsonb);

-- Wakes whoever listens, on every server: `what` names what there is news of.
CREATE FUNCTION "tell"(what text) RETURNS void LANGUAGE sql AS $$ SELECT pg_notify('cartstream', what) $$;

-- Whether the lease of a node still holds. By the database's clock: those of servers differ.
CREATE FUNCTION "is_alive"(p_node uuid) RETURNS boolean LANGUAGE sql AS $$
  SELECT EXISTS (SELECT FROM nodes WHERE id = p_node AND expires_at > clock_timestamp())
$$;

-- Stores commands that are to be run later, and puts them into the queue. An id that is stored already changes nothing.
--
-- p_commands  [{id, n: name, t: aggregate type, a: aggregate id, d: input, f: fingerprint, k: actor kind, o: actor id,
--               e: expected version, due: if not now, deadline, timer, c: correlation id, g: causation id,
--               it: issuer type, ii: issuer id}]
--
-- Answer: the ids that were not stored yet.
CREATE FUNCTION "enqueue_commands"(p_commands jsonb, p_now timestamptz) RETURNS uuid[]
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
    SELECT c.* FROM ROWS FROM (jsonb_to_recordset(p_commands) AS (
      id uuid, n text, t text, a text, d jsonb, f text, k text, o text, e int, due timestamptz, deadline timestamptz,
      timer text, c uuid, g uuid, it text, ii text
    )) WITH ORDINALITY AS c(id, n, t, a, d, f, k, o, e, due, deadline, timer, c, g, it, ii, place)
  ), stored AS (
    INSERT INTO commands (command_id, name, aggregate_type, aggregate_id, input, fingerprint, actor_kind, actor_id,
                          status, attempts, expected_version, correlation_id, causation_id, issuer_type, issuer_id,
                          submitted_at, due_at, deadline)
    SELECT id, n, t, a, d, f, k, o, 'QUEUED', 0, e, coalesce(c, id), g, it, ii, p_now, due, deadline FROM given
    ON CONFLICT (command_id) DO NOTHING
    RETURNING command_id
  ), lanes AS MATERIALIZED (
    -- Each once: an index entry that this very statement adds would be passed again for each command of its lane.
    SELECT each.lane, (
      SELECT max(before.due_at) FROM command_queue AS before WHERE before.lane = each.lane AND NOT before.is_delayed
    ) AS newest
    FROM (SELECT DISTINCT given.t || '-' || given.a AS lane FROM given) AS each
  ), placed AS (
    -- Neither a dueAt that has passed nor a clock that jumps back lets a command overtake those queued before it.
    INSERT INTO command_queue (command_id, lane, due_at, is_delayed, deadline, timer)
    SELECT given.id, given.t || '-' || given.a,
           CASE WHEN given.due > p_now THEN given.due ELSE greatest(p_now, lanes.newest) END,
           coalesce(given.due > p_now, false), given.deadline, given.timer
    FROM given JOIN stored ON stored.command_id = given.id JOIN lanes ON lanes.lane = given.t || '-' || given.a
    ORDER BY given.place
    RETURNING command_id
  )
  SELECT coalesce(array_agg(command_id), '{}') INTO queued FROM placed;
  PERFORM tell('queue');
  RETURN queued;
END
$$;

-- Tells the processes that sent these commands that they changed nothing, and never will.
CREATE FUNCTION "tell_issuers"(p_commands uuid[], p_status text, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enqueue_commands((
    SELECT jsonb_agg(jsonb_build_object(
      'id', overlay(md5(c.command_id::text || ' refused') placing '8' from 13)::uuid, 'n', c.issuer_type || '.refusal',
      't', c.issuer_type, 'a', c.issuer_id, 'f', '', 'k', 'PROCESS', 'o', c.issuer_type,
      'c', c.correlation_id, 'g', c.command_id,
      'd', jsonb_build_object('instanceId', c.issuer_id, 'commandId', c.command_id, 'name', c.name,
                              'status', p_status, 'rejection', c.rejection)
    ))
    FROM commands AS c WHERE c.command_id = ANY (p_commands) AND c.issuer_type IS NOT NULL
  ), p_now);
END
$$;

-- Writes the events and commands of a batch, and moves the end of the log.
-- Raises unique_violation if a commandId is there already.
--
-- Beside the members that append_to_log had before, commands have
--   e: expected version, s: status, of one that a process concludes, q: it is there already, and is finished by do_work
CREATE FUNCTION "write_events"(
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
           at timestamptz, e int, s text, q boolean
         )) WITH ORDINALITY AS c(unit, id, stream, n, d, f, k, o, r, x, v, c, g, at, e, s, q, place)
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
                          correlation_id, causation_id, submitted_at, finished_at)
    SELECT c.id, c.n, s.type, s.aggregate, c.d, c.f, c.k, c.o,
           CASE WHEN c.r IS NOT NULL THEN 'REJECTED' ELSE coalesce(c.s, 'SUCCEEDED') END, c.x, c.r, c.e, c.v,
           done.first, coalesce(done.number, 0), done.last, c.correlation_id, c.g, c.at,
           CASE WHEN c.r IS NOT NULL OR c.s IS NULL THEN greatest(p_instant, c.at) END
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
CREATE FUNCTION "do_work"(
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
          finished_at = CASE WHEN c.r IS NOT NULL OR c.s IS NULL THEN greatest(p_instant, submitted_at) END
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
          )
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
    UPDATE commands SET status = 'CANCELLED', finished_at = p_instant WHERE command_id = ANY (ids);
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
    PERFORM tell_issuers(ids, 'DROPPED', p_instant);
  END IF;
END
$$;

-- The units of a batch that cannot be written, why, and the commandIds that are stored already. Like move_streams, it may
-- only look things up by their key.
CREATE FUNCTION "refused_units"(
  p_streams jsonb, p_commands jsonb, p_work jsonb,
  OUT conflicts int[], OUT repeating int[], OUT repeated uuid[], OUT unclaimed int[]
)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  SELECT coalesce(array_agg(s.unit), '{}') INTO conflicts
  FROM jsonb_to_recordset(p_streams) AS s(unit int, t text, a text, "from" int)
  LEFT JOIN streams ON streams.id = s.t || '-' || s.a
  WHERE coalesce(streams.version, 0) <> s.from;

  SELECT coalesce(array_agg(c.unit), '{}'), coalesce(array_agg(c.id), '{}') INTO repeating, repeated
  FROM jsonb_to_recordset(p_commands) AS c(unit int, id uuid, q boolean)
  JOIN commands ON commands.command_id = c.id
  WHERE c.q IS NULL;

  SELECT coalesce(array_agg(c.unit), '{}') INTO unclaimed
  FROM jsonb_to_recordset(p_work->'claims') AS c(unit int, id uuid, node uuid)
  LEFT JOIN command_queue AS queued ON queued.command_id = c.id AND queued.owner = c.node
  WHERE queued.command_id IS NULL;

  SELECT conflicts || coalesce(array_agg(c.unit), '{}') INTO conflicts
  FROM jsonb_to_recordset(p_work->'cancelled') AS c(unit int, id uuid)
  LEFT JOIN command_queue AS queued ON queued.command_id = c.id AND queued.owner IS NULL AND queued.dead_letter_id IS NULL
  WHERE queued.command_id IS NULL;

  SELECT conflicts || coalesce(array_agg(c.unit), '{}') INTO conflicts
  FROM (
    SELECT unit, id FROM jsonb_to_recordset(p_work->'retried') AS retried(unit int, id uuid)
    UNION ALL
    SELECT unit, id FROM jsonb_to_recordset(p_work->'dropped') AS dropped(unit int, id uuid)
  ) AS c
  LEFT JOIN dead_letters ON dead_letters.id = c.id AND dead_letters.status = 'OPEN'
  WHERE dead_letters.id IS NULL;
END
$$;

-- Appends a batch of units, each all or nothing. Units do not share a stream. One that was decided on a version that its
-- stream no longer has, or with a command that is stored already or no longer claimed, is left out and named in the
-- answer; the others are appended.
--
-- The row lock on log_head is held until commit, so positions are in commit order and without gaps, and a reader that
-- goes on from the highest position it saw never misses an event. Each statement of a volatile function takes a new
-- snapshot, so what is checked is as of after the lock was taken, not as of when the call began to wait for it.
--
-- Most batches have nothing to leave out: so they are written first, and looked through only if that fails.
--
-- Answer: events that were appended have the positions after base_position, in the order given.
CREATE FUNCTION "append_to_log"(
  p_streams jsonb, p_commands jsonb, p_events jsonb, p_now timestamptz, p_work jsonb DEFAULT NULL
)
RETURNS TABLE ("base_position" bigint, "recorded_at" timestamptz, "conflicts" int[], "repeated" uuid[], "unclaimed" int[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  head log_head;
  instant timestamptz;
  refused record;
  left_out int[] := '{}';
BEGIN
  SELECT * INTO head FROM log_head WHERE id = 1 FOR UPDATE;
  -- A clock that jumps back never makes the log's instants decrease.
  instant := greatest(head.recorded_at, p_now);
  BEGIN
    PERFORM move_streams(p_streams, '{}');
    PERFORM write_events(p_streams, p_commands, p_events, head.position, instant, '{}');
    IF p_work IS NOT NULL THEN
      PERFORM do_work(p_work, p_commands, head.position, instant, '{}');
    END IF;
    RETURN QUERY SELECT head.position, instant, '{}'::int[], '{}'::uuid[], '{}'::int[];
  EXCEPTION WHEN unique_violation OR SQLSTATE 'CS409' OR SQLSTATE 'CS410' THEN
    SELECT * INTO refused FROM refused_units(p_streams, p_commands, p_work);
    left_out := refused.conflicts || refused.repeating || refused.unclaimed;
    PERFORM move_streams(p_streams, left_out);
    PERFORM write_events(p_streams, p_commands, p_events, head.position, instant, left_out);
    IF p_work IS NOT NULL THEN
      PERFORM do_work(p_work, p_commands, head.position, instant, left_out);
    END IF;
    RETURN QUERY SELECT head.position, instant, refused.conflicts, refused.repeated, refused.unclaimed;
  END;
  IF jsonb_array_length(p_events) > 0 THEN
    PERFORM tell('log ' || (SELECT position FROM log_head WHERE log_head.id = 1));
  END IF;
  IF p_work IS NOT NULL THEN
    PERFORM tell('work');
  END IF;
END
$$;

-- Claims commands of the queue that are due, in the order of their lanes, and counts the attempt. What is not delayed is
-- due whatever the clock says: its due_at is no more than its place. Of a lane in which something is claimed, failed or
-- waits for its next attempt, nothing is claimed. Those whose deadline has passed are finished as timed out.
--
-- A command whose node died while it ran is a suspect: it may have been the cause, and must not take others with it. So
-- lanes that have one go first, one command at a time, and a node runs it alone: it claims nothing else meanwhile, and
-- finishes before what it has claimed.
--
-- One node at a time: two that looked at the same moment would each take a part of the same lane. It does not wait for
-- the disk: a claim that a crash forgets is made again.
--
-- p_running  what the node knows that it has claimed. The rest of what carries its id it was never told of, because an
--            answer was lost: that is claimed anew. Whether it was tried nobody knows, so the attempt counts.
--
-- Answer: what the commands need to be run, in order; and, with timed_out, those that never will be.
CREATE FUNCTION "claim_commands"(p_node uuid, p_now timestamptz, p_limit int, p_running uuid[])
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
    UPDATE commands SET status = 'TIMED_OUT', finished_at = p_now, attempts = gone.attempts
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
      SELECT DISTINCT lane FROM command_queue WHERE is_suspect AND owner IS NULL AND dead_letter_id IS NULL
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
      WHERE (blocking.owner IS NOT NULL OR blocking.dead_letter_id IS NOT NULL OR blocking.retry_at IS NOT NULL OR blocking.is_suspect)
        AND (blocking.owner IS NOT NULL OR blocking.dead_letter_id IS NOT NULL OR blocking.retry_at > p_now OR blocking.is_suspect)
    ), due AS (
      (
        SELECT queued.due_at, queued.seq FROM command_queue AS queued
        WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND NOT queued.is_delayed
          AND (queued.deadline IS NULL OR queued.deadline > p_now) AND queued.lane NOT IN (SELECT blocked.lane FROM blocked)
        ORDER BY queued.due_at, queued.seq LIMIT p_limit
      ) UNION ALL (
        SELECT queued.due_at, queued.seq FROM command_queue AS queued
        WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND queued.is_delayed AND queued.due_at <= p_now
          AND (queued.deadline IS NULL OR queued.deadline > p_now) AND queued.lane NOT IN (SELECT blocked.lane FROM blocked)
        ORDER BY queued.due_at, queued.seq LIMIT p_limit
      )
    )
    SELECT array_agg(first.seq) INTO chosen FROM (
      SELECT due.seq FROM due ORDER BY due.due_at, due.seq LIMIT p_limit
    ) AS first;
  ELSIF EXISTS (SELECT FROM command_queue WHERE owner = p_node) THEN
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
-- p_failures  [{id, isUntried: the attempt does not count, retryAt: not before then; or, for good,
--              error, stack, letter: id of the dead letter}]
CREATE FUNCTION "give_back_commands"(p_node uuid, p_failures jsonb, p_now timestamptz) RETURNS void
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
    RETURNING commands.command_id, commands.input, commands.name, commands.aggregate_type,
              commands.actor_kind = 'PROCESS' AND commands.issuer_type IS NULL AS is_of_process
  ), letters AS (
    INSERT INTO dead_letters (id, source, subject, lane, payload, error, stack, attempts, status, failed_at)
    SELECT dead.letter, CASE WHEN failed.is_of_process THEN 'process:' || failed.aggregate_type ELSE 'command' END,
           dead.id::text, dead.lane, jsonb_build_object('command', failed.name, 'input', failed.input),
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

-- Says that a node lives on. False where its lease went: it owns nothing any more, and must begin anew as another node.
CREATE FUNCTION "keep_alive"(p_node uuid, p_seconds double precision) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE nodes SET expires_at = clock_timestamp() + make_interval(secs => p_seconds)
  WHERE id = p_node AND expires_at > clock_timestamp();
  RETURN FOUND;
END
$$;

-- Puts back what nodes had claimed that are no longer alive.
CREATE FUNCTION "sweep_nodes"() RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  DELETE FROM nodes WHERE expires_at <= clock_timestamp();
  UPDATE command_queue AS queued SET owner = NULL, is_suspect = true
  WHERE queued.owner IS NOT NULL AND NOT is_alive(queued.owner);
  IF FOUND THEN
    PERFORM tell('queue');
  END IF;
END
$$;

-- Takes the followers of the log that nobody owns, or that belong to an older version of the code: what that made is not
-- what this one reads. A follower that is there with a higher version is left alone.
--
-- p_followers  [{name, version}]
-- Answer: all of them as they are then.
CREATE FUNCTION "own_followers"(p_node uuid, p_followers jsonb)
RETURNS TABLE (
  "name" text, "version" int, "position" bigint, "owner" uuid, "attempted" bigint, "attempts" int, "parked_changes" int
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO checkpoints (name, version, position, updated_at)
  SELECT f.name, f.version, 0, clock_timestamp() FROM jsonb_to_recordset(p_followers) AS f(name text, version int)
  WHERE NOT EXISTS (SELECT FROM checkpoints AS known WHERE known.name = f.name)
  ON CONFLICT (name) DO NOTHING;
  UPDATE checkpoints AS mine SET owner = p_node
  FROM jsonb_to_recordset(p_followers) AS f(name text, version int)
  WHERE mine.name = f.name AND mine.version <= f.version AND is_alive(p_node)
    AND (mine.owner IS NULL OR mine.version < f.version OR (mine.owner <> p_node AND NOT is_alive(mine.owner)));
  RETURN QUERY
  SELECT c.name, c.version, c.position, c.owner, c.attempted, c.attempts, c.parked_changes
  FROM checkpoints AS c JOIN jsonb_to_recordset(p_followers) AS f(name text, version int) ON f.name = c.name;
END
$$;

-- Moves a checkpoint, together with what is parked or no longer parked, where it is still at p_from and of that owner.
--
-- p_parking  null, or {parked: [{position, lane}], unparked: [position], letter: {id, subject, lane, position, payload,
--            error, stack, attempts}}
-- Answer: false where it is not, and nothing was done.
CREATE FUNCTION "move_checkpoint"(
  p_name text, p_version int, p_owner uuid, p_from bigint, p_to bigint, p_parking jsonb, p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM set_config('synchronous_commit', 'off', true);
  UPDATE checkpoints
  SET position = p_to, updated_at = p_now, parked_changes = parked_changes + CASE WHEN p_parking IS NULL THEN 0 ELSE 1 END
  WHERE name = p_name AND version = p_version AND owner = p_owner AND position = p_from;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF p_parking IS NOT NULL THEN
    INSERT INTO parked_events (source, position, lane)
    SELECT p_name, p.position, p.lane FROM jsonb_to_recordset(p_parking->'parked') AS p(position bigint, lane text)
    ON CONFLICT (source, position) DO UPDATE SET attempts = 0;
    DELETE FROM parked_events
    WHERE source = p_name AND position IN (SELECT value::bigint FROM jsonb_array_elements_text(p_parking->'unparked'));
    INSERT INTO dead_letters (id, source, subject, lane, position, payload, error, stack, attempts, status, failed_at)
    SELECT l.id, p_name, l.subject, l.lane, l.position, l.payload, l.error, l.stack, l.attempts, 'OPEN', p_now
    FROM jsonb_to_record(p_parking->'letter') AS l(
      id uuid, subject text, lane text, position bigint, payload jsonb, error text, stack text, attempts int
    )
    WHERE l.id IS NOT NULL
    ON CONFLICT (source, subject) DO UPDATE
    SET error = EXCLUDED.error, stack = EXCLUDED.stack, attempts = dead_letters.attempts + EXCLUDED.attempts,
        status = 'OPEN', failed_at = EXCLUDED.failed_at, resolved_at = NULL;
  END IF;
  PERFORM tell('checkpoint ' || p_to || ' ' || p_name);
  IF p_parking IS NOT NULL THEN
    PERFORM tell('nodes');
  END IF;
  RETURN true;
END
$$;

-- Moves the checkpoint of a process's feed and queues what the process is to take, together.
CREATE FUNCTION "feed_process"(
  p_name text, p_version int, p_owner uuid, p_from bigint, p_to bigint, p_parking jsonb, p_commands jsonb, p_now timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  IF NOT move_checkpoint(p_name, p_version, p_owner, p_from, p_to, p_parking, p_now) THEN
    RETURN false;
  END IF;
  PERFORM enqueue_commands(p_commands, p_now);
  RETURN true;
END
$$;
