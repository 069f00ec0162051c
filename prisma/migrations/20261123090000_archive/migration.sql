-- CreateTable
CREATE TABLE "archive_segments" (
    "number" BIGINT NOT NULL,
    "recorded_from" TIMESTAMPTZ(3) NOT NULL,
    "count" INTEGER NOT NULL,
    "types" TEXT[],
    "events" BYTEA NOT NULL,

    CONSTRAINT "archive_segments_pkey" PRIMARY KEY ("number")
);

-- CreateTable
CREATE TABLE "archived_events" (
    "event_id" UUID NOT NULL,
    "position" BIGINT NOT NULL,
    "correlation_id" UUID,

    CONSTRAINT "archived_events_pkey" PRIMARY KEY ("event_id")
);

-- CreateTable
CREATE TABLE "archived_streams" (
    "stream_id" TEXT NOT NULL,
    "aggregate_type" TEXT NOT NULL,
    "positions" BIGINT[],
    "archived_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "archived_streams_pkey" PRIMARY KEY ("stream_id")
);

-- CreateTable
CREATE TABLE "archived_commands" (
    "command_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "actor_kind" TEXT NOT NULL,
    "actor_id" TEXT,
    "first_position" BIGINT,
    "event_count" INTEGER NOT NULL,
    "correlation_id" UUID NOT NULL,
    "submitted_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3) NOT NULL,
    "record" BYTEA NOT NULL,

    CONSTRAINT "archived_commands_pkey" PRIMARY KEY ("command_id")
);

-- CreateTable
CREATE TABLE "archive_progress" (
    "id" INTEGER NOT NULL,
    "batch" BIGINT NOT NULL,
    "position" BIGINT NOT NULL,
    "endings" TEXT NOT NULL,

    CONSTRAINT "archive_progress_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "archive_segments_recorded_from_number_idx" ON "archive_segments"("recorded_from", "number");

-- CreateIndex
CREATE INDEX "archived_events_correlation_id_position_idx" ON "archived_events"("correlation_id", "position") WHERE (correlation_id IS NOT NULL);

-- CreateIndex
CREATE INDEX "archived_commands_aggregate_id_submitted_at_idx" ON "archived_commands"("aggregate_id", "submitted_at");

-- CreateIndex
CREATE INDEX "archived_commands_actor_id_submitted_at_idx" ON "archived_commands"("actor_id", "submitted_at", "command_id") WHERE (actor_kind = ANY (ARRAY['CUSTOMER'::text, 'GUEST'::text]));

-- CreateIndex
CREATE INDEX "archived_commands_correlation_id_idx" ON "archived_commands"("correlation_id") WHERE (correlation_id <> command_id);


-- What Prisma's schema language cannot say.

ALTER TABLE "archived_streams" ALTER COLUMN "stream_id" TYPE TEXT COLLATE "C";
-- They come compressed: the database need not try again.
ALTER TABLE "archive_segments" ALTER COLUMN "events" SET STORAGE EXTERNAL;
ALTER TABLE "archived_commands" ALTER COLUMN "record" SET STORAGE EXTERNAL;

INSERT INTO "archive_progress" ("id", "batch", "position", "endings") VALUES (1, 0, 0, '');

-- Moves events into the archive: all of what is given, or nothing. Whoever reads `events` first and the archive after that
-- sees each of them at least once, for they are in both or in one of them at every instant.
--
-- Of each stream the oldest events that are still in `events`, and never its newest. Rows of events never change, so what
-- was read before this call is what is moved.
--
-- p_batch     of archive_progress, as it was read before anything else: if it is another now, somebody else has archived
--             meanwhile, and nothing is done
-- p_segments  [{number, count, from: recorded_at of its first event, types, events: base64}] as they are with these events
-- p_positions of the events
-- p_upto      the log was looked through up to here, for streams that end with what p_endings names
--
-- Answer: whether it was done.
CREATE FUNCTION "archive_events"(
  p_batch bigint, p_segments jsonb, p_positions bigint[], p_upto bigint, p_endings text, p_instant timestamptz
) RETURNS boolean
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  moved int;
  streams text[];
BEGIN
  PERFORM pg_advisory_xact_lock(7267313);
  UPDATE archive_progress SET batch = batch + 1, position = p_upto, endings = p_endings
  WHERE id = 1 AND batch = p_batch;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  IF cardinality(p_positions) = 0 THEN
    RETURN true;
  END IF;

  WITH gone AS (
    DELETE FROM events WHERE position = ANY (p_positions)
    RETURNING position, event_id, stream_id, aggregate_type, version, command_id, correlation_id
  ), listed AS (
    -- What began with a request is found by the command of that id.
    INSERT INTO archived_events (event_id, position, correlation_id)
    SELECT event_id, position, CASE WHEN correlation_id <> command_id THEN correlation_id END FROM gone ORDER BY event_id
  ), placed AS (
    INSERT INTO archived_streams (stream_id, aggregate_type, positions, archived_at)
    SELECT stream_id, min(aggregate_type), array_agg(position ORDER BY version), p_instant FROM gone GROUP BY stream_id
    ON CONFLICT (stream_id) DO UPDATE
    SET positions = archived_streams.positions || EXCLUDED.positions, archived_at = EXCLUDED.archived_at
    RETURNING stream_id
  )
  SELECT (SELECT count(*) FROM gone), (SELECT array_agg(stream_id) FROM placed) INTO moved, streams;
  IF moved <> cardinality(p_positions) THEN
    RAISE EXCEPTION 'an event that is to be archived is not there any more';
  END IF;
  -- What is left of each stream goes on where the archived part ends.
  IF EXISTS (
    SELECT FROM archived_streams AS old
    WHERE old.stream_id = ANY (streams) AND NOT EXISTS (
      SELECT FROM events WHERE events.stream_id = old.stream_id AND events.version = cardinality(old.positions) + 1
    )
  ) THEN
    RAISE EXCEPTION 'the archived part of a stream is not all that comes before the rest of it';
  END IF;

  INSERT INTO archive_segments (number, recorded_from, count, types, events)
  SELECT s.number, s."from", s.count, ARRAY(SELECT jsonb_array_elements_text(s.types)), decode(s.events, 'base64')
  FROM jsonb_to_recordset(p_segments) AS s(number bigint, "from" timestamptz, count int, types jsonb, events text)
  ON CONFLICT (number) DO UPDATE
  SET recorded_from = EXCLUDED.recorded_from, count = EXCLUDED.count, types = EXCLUDED.types, events = EXCLUDED.events;

  -- A state can be folded anew. One that is being written just now stays: nobody waits for anybody here.
  DELETE FROM snapshots WHERE snapshots.stream_id IN (
    SELECT old.stream_id FROM snapshots AS old WHERE old.stream_id = ANY (streams) FOR UPDATE SKIP LOCKED
  );
  RETURN true;
END
$$;

-- Moves commands into the archive that have come to their end. Those change no more, so what was read before is what is moved.
--
-- p_records  [{id, record: base64}]
--
-- Answer: how many were moved; others were archived by somebody else meanwhile.
CREATE FUNCTION "archive_commands"(p_records jsonb) RETURNS int
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  moved int;
BEGIN
  PERFORM pg_advisory_xact_lock(7267313);
  WITH gone AS (
    DELETE FROM commands AS c USING jsonb_to_recordset(p_records) AS r(id uuid, record text)
    WHERE c.command_id = r.id AND c.status NOT IN ('QUEUED', 'RUNNING')
      AND NOT EXISTS (SELECT FROM command_queue AS queued WHERE queued.command_id = c.command_id)
    RETURNING c.command_id, c.name, c.aggregate_id, c.status, c.actor_kind, c.actor_id, c.first_position, c.event_count,
              c.correlation_id, c.submitted_at, c.finished_at, r.record
  )
  INSERT INTO archived_commands (command_id, name, aggregate_id, status, actor_kind, actor_id, first_position,
                                 event_count, correlation_id, submitted_at, finished_at, record)
  SELECT command_id, name, aggregate_id, status, actor_kind, actor_id, first_position, event_count, correlation_id,
         submitted_at, finished_at, decode(record, 'base64')
  FROM gone ORDER BY command_id;
  GET DIAGNOSTICS moved = ROW_COUNT;
  RETURN moved;
END
$$;

-- Where an instant lies among the events that are not archived: the last of them that was recorded by then (0 if none
-- was), and the one after it (null if there is none). What lies between the two is archived. Instants never decrease as
-- positions grow, so it is looked for like a word in a dictionary.
DROP FUNCTION "position_at"(timestamptz);
CREATE FUNCTION "positions_around"(p_at timestamptz, OUT "before" bigint, OUT "after" bigint)
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
  low bigint := 0;
  high bigint;
  middle bigint;
  newest timestamptz;
  found_position bigint;
  found_at timestamptz;
BEGIN
  SELECT h.position, h.recorded_at INTO high, newest FROM log_head AS h WHERE h.id = 1;
  IF newest <= p_at THEN
    before := high;
    RETURN;
  END IF;
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    SELECT e.position, e.recorded_at INTO found_position, found_at
    FROM events AS e WHERE e.position >= middle AND e.position <= high ORDER BY e.position LIMIT 1;
    IF NOT FOUND OR found_at > p_at THEN
      high := middle - 1;
    ELSE
      low := found_position;
    END IF;
  END LOOP;
  before := low;
  SELECT e.position INTO after FROM events AS e WHERE e.position > low ORDER BY e.position LIMIT 1;
END
$$;

-- The version that a stream had at a position; 0 if it had not begun. In a stream, too, the one grows with the other.
-- What is archived of it comes before all that is not.
CREATE OR REPLACE FUNCTION "stream_version_at"(p_stream text, p_position bigint) RETURNS int
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_bitmapscan = off SET enable_sort = off
AS $$
DECLARE
  low int := 0;
  high int;
  middle int;
  found_version int;
  found_position bigint;
BEGIN
  SELECT e.version, e.position INTO high, found_position
  FROM events AS e WHERE e.stream_id = p_stream ORDER BY e.version DESC LIMIT 1;
  IF NOT FOUND OR p_position < 1 THEN
    RETURN 0;
  END IF;
  IF found_position <= p_position THEN
    RETURN high;
  END IF;
  WHILE low < high LOOP
    middle := (low + high + 1) / 2;
    SELECT e.version, e.position INTO found_version, found_position
    FROM events AS e
    WHERE e.stream_id = p_stream AND e.version >= middle AND e.version <= high ORDER BY e.version LIMIT 1;
    IF NOT FOUND OR found_position > p_position THEN
      high := middle - 1;
    ELSE
      low := found_version;
    END IF;
  END LOOP;
  IF low = 0 THEN
    SELECT width_bucket(p_position, old.positions) INTO low FROM archived_streams AS old WHERE old.stream_id = p_stream;
  END IF;
  RETURN coalesce(low, 0);
END
$$;

-- A commandId is unique for ever, also where its command is archived.
-- Raises unique_violation if one of a batch is there. To be called when the commands of the batch are written: one that is
-- moved meanwhile is seen by the one or by the other.
CREATE FUNCTION "refuse_archived"(p_commands jsonb, p_left_out int[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  IF EXISTS (
    SELECT FROM jsonb_to_recordset(p_commands) AS c(unit int, id uuid, q boolean)
    JOIN archived_commands ON archived_commands.command_id = c.id
    WHERE c.q IS NULL AND NOT c.unit = ANY (p_left_out)
  ) THEN
    RAISE EXCEPTION 'a commandId is in the archive' USING ERRCODE = 'unique_violation';
  END IF;
END
$$;

-- As it was, and what is archived counts as stored.
CREATE OR REPLACE FUNCTION "enqueue_commands"(p_commands jsonb, p_now timestamptz) RETURNS uuid[]
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off
AS $$
DECLARE
  queued uuid[];
  archived uuid[];
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
  -- Looked for only now: one that is moved meanwhile is seen by the insert or by this.
  IF EXISTS (SELECT FROM archived_commands) THEN
    SELECT array_agg(old.command_id) INTO archived FROM archived_commands AS old WHERE old.command_id = ANY (queued);
    IF archived IS NOT NULL THEN
      DELETE FROM command_queue WHERE command_id = ANY (archived);
      DELETE FROM commands WHERE command_id = ANY (archived);
      queued := ARRAY(SELECT id FROM unnest(queued) AS id WHERE NOT id = ANY (archived));
    END IF;
  END IF;
  PERFORM tell('queue');
  RETURN queued;
END
$$;

-- As it was, and what is archived counts as stored.
CREATE OR REPLACE FUNCTION "refused_units"(
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
  WHERE c.q IS NULL AND (
    EXISTS (SELECT FROM commands WHERE commands.command_id = c.id)
    OR EXISTS (SELECT FROM archived_commands WHERE archived_commands.command_id = c.id)
  );

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

  IF p_work ? 'rebuilds' THEN
    PERFORM 1 FROM rebuilds
    WHERE rebuilds.name IN (SELECT w.name FROM jsonb_to_recordset(p_work->'rebuilds') AS w(name text))
    ORDER BY rebuilds.name FOR UPDATE;
    SELECT conflicts || coalesce(array_agg(first.unit), '{}') INTO conflicts
    FROM (
      SELECT DISTINCT ON (w.unit, w.name) w.*
      FROM ROWS FROM (jsonb_to_recordset(p_work->'rebuilds') AS (
        unit int, name text, run int, begin boolean
      )) WITH ORDINALITY AS w(unit, name, run, begins, place)
      ORDER BY w.unit, w.name, w.place
    ) AS first
    LEFT JOIN rebuilds AS mine ON mine.name = first.name
    WHERE CASE WHEN first.begins THEN coalesce(mine.run, 0) <> first.run - 1 OR coalesce(is_under_way(mine), false)
               ELSE mine.run IS DISTINCT FROM first.run OR NOT is_under_way(mine) END;
  END IF;
END
$$;

-- As it was, and a command whose id is in the archive is not written.
CREATE OR REPLACE FUNCTION "append_to_log"(
  p_streams jsonb, p_commands jsonb, p_events jsonb, p_now timestamptz, p_work jsonb DEFAULT NULL,
  p_subjects text[] DEFAULT NULL
)
RETURNS TABLE (
  "base_position" bigint, "recorded_at" timestamptz, "conflicts" int[], "repeated" uuid[], "unclaimed" int[],
  "forgotten" text[]
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  head log_head;
  instant timestamptz;
  refused record;
  left_out int[] := '{}';
  gone text[];
BEGIN
  SELECT * INTO head FROM log_head WHERE id = 1 FOR UPDATE;
  IF p_subjects IS NOT NULL THEN
    SELECT array_agg(DISTINCT subject_id) INTO gone FROM subject_keys
    WHERE subject_id = ANY (p_subjects) AND destroyed_at IS NOT NULL;
    IF gone IS NOT NULL THEN
      RETURN QUERY SELECT head.position, head.recorded_at, '{}'::int[], '{}'::uuid[], '{}'::int[], gone;
      RETURN;
    END IF;
  END IF;
  -- A clock that jumps back never makes the log's instants decrease.
  instant := greatest(head.recorded_at, p_now);
  BEGIN
    PERFORM move_streams(p_streams, '{}');
    PERFORM write_events(p_streams, p_commands, p_events, head.position, instant, '{}');
    -- Only an archive that has something in it is looked into.
    IF EXISTS (SELECT FROM archived_commands) THEN
      PERFORM refuse_archived(p_commands, '{}');
    END IF;
    IF p_work IS NOT NULL THEN
      PERFORM do_work(p_work, p_commands, head.position, instant, '{}');
    END IF;
    RETURN QUERY SELECT head.position, instant, '{}'::int[], '{}'::uuid[], '{}'::int[], NULL::text[];
  EXCEPTION WHEN unique_violation OR SQLSTATE 'CS409' OR SQLSTATE 'CS410' THEN
    SELECT * INTO refused FROM refused_units(p_streams, p_commands, p_work);
    left_out := refused.conflicts || refused.repeating || refused.unclaimed;
    PERFORM move_streams(p_streams, left_out);
    PERFORM write_events(p_streams, p_commands, p_events, head.position, instant, left_out);
    IF EXISTS (SELECT FROM archived_commands) THEN
      PERFORM refuse_archived(p_commands, left_out);
    END IF;
    IF p_work IS NOT NULL THEN
      PERFORM do_work(p_work, p_commands, head.position, instant, left_out);
    END IF;
    RETURN QUERY SELECT head.position, instant, refused.conflicts, refused.repeated, refused.unclaimed, NULL::text[];
  END;
  IF p_work ? 'forgotten' THEN
    PERFORM forget_subjects(ARRAY(
      SELECT f.subject FROM jsonb_to_recordset(p_work->'forgotten') AS f(unit int, subject text)
      WHERE NOT f.unit = ANY (left_out)
    ), instant);
  END IF;
  IF jsonb_array_length(p_events) > 0 THEN
    PERFORM tell('log ' || (SELECT position FROM log_head WHERE log_head.id = 1));
  END IF;
  IF p_work IS NOT NULL THEN
    PERFORM tell('work');
  END IF;
END
$$;
