-- CreateTable
CREATE TABLE "log_head" (
    "id" INTEGER NOT NULL,
    "epoch" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "log_head_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "streams" (
    "id" TEXT NOT NULL,
    "aggregate_type" TEXT NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,

    CONSTRAINT "streams_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "events" (
    "position" BIGINT NOT NULL,
    "event_id" UUID NOT NULL,
    "stream_id" TEXT NOT NULL,
    "aggregate_type" TEXT NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "type" TEXT NOT NULL,
    "schema_version" INTEGER NOT NULL,
    "data" JSONB NOT NULL,
    "actor_kind" TEXT NOT NULL,
    "actor_id" TEXT,
    "command_id" UUID,
    "correlation_id" UUID NOT NULL,
    "causation_id" UUID,
    "recorded_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "events_pkey" PRIMARY KEY ("position")
);

-- CreateTable
CREATE TABLE "commands" (
    "command_id" UUID NOT NULL,
    "name" TEXT NOT NULL,
    "aggregate_type" TEXT NOT NULL,
    "aggregate_id" TEXT NOT NULL,
    "input" JSONB NOT NULL,
    "fingerprint" TEXT NOT NULL,
    "actor_kind" TEXT NOT NULL,
    "actor_id" TEXT,
    "status" TEXT NOT NULL,
    "attempts" INTEGER NOT NULL,
    "rejection" JSONB,
    "version" INTEGER NOT NULL,
    "position" BIGINT,
    "correlation_id" UUID NOT NULL,
    "causation_id" UUID,
    "submitted_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "commands_pkey" PRIMARY KEY ("command_id")
);

-- CreateTable
CREATE TABLE "checkpoints" (
    "projection" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "checkpoints_pkey" PRIMARY KEY ("projection")
);

-- CreateTable
CREATE TABLE "product_view" (
    "sku" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "sort_name" TEXT NOT NULL,
    "search_text" TEXT NOT NULL,
    "description" TEXT,
    "price_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "active" BOOLEAN NOT NULL,
    "version" INTEGER NOT NULL,
    "available" INTEGER NOT NULL,
    "stock_version" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,
    "added_position" BIGINT NOT NULL,

    CONSTRAINT "product_view_pkey" PRIMARY KEY ("sku")
);

-- CreateTable
CREATE TABLE "cart_view" (
    "id" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "currency" TEXT NOT NULL,
    "customer_id" TEXT,
    "lines" JSONB NOT NULL,
    "version" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,
    "created_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "cart_view_pkey" PRIMARY KEY ("id")
);

-- CreateTable
CREATE TABLE "cart_product" (
    "sku" TEXT NOT NULL,
    "name" TEXT NOT NULL,
    "price_minor" BIGINT NOT NULL,
    "currency" TEXT NOT NULL,
    "active" BOOLEAN NOT NULL,
    "available" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,

    CONSTRAINT "cart_product_pkey" PRIMARY KEY ("sku")
);

-- CreateIndex
CREATE UNIQUE INDEX "events_event_id_key" ON "events"("event_id");

-- CreateIndex
CREATE UNIQUE INDEX "events_stream_id_version_key" ON "events"("stream_id", "version");

-- CreateIndex
CREATE INDEX "product_view_sort_name_sku_idx" ON "product_view"("sort_name", "sku");

-- CreateIndex
CREATE INDEX "product_view_price_minor_sku_idx" ON "product_view"("price_minor", "sku");

-- CreateIndex
CREATE INDEX "product_view_added_position_idx" ON "product_view"("added_position");


-- What Prisma's schema language cannot say.

-- Sorting, searching and looking up are the same on every engine and locale; comparing bytes is also faster.
ALTER TABLE "streams" ALTER COLUMN "id" TYPE TEXT COLLATE "C";
ALTER TABLE "events" ALTER COLUMN "stream_id" TYPE TEXT COLLATE "C";
ALTER TABLE "product_view" ALTER COLUMN "sort_name" TYPE TEXT COLLATE "C", ALTER COLUMN "sku" TYPE TEXT COLLATE "C";

-- The epoch is the instant at which this store's life began, in milliseconds, as hexadecimal: later ones sort later, and
-- a position of another store is recognised.
INSERT INTO "log_head" ("id", "epoch", "position", "recorded_at")
VALUES (1, lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0'), 0, to_timestamp(0));

-- A batch is handed over in a short form, since its text is what an append spends much of its time on; `stream` and
-- `command` count from 1 in their own list.
--
-- p_streams   [{unit, t: type, a: aggregate id, from: the version decided on (0: not there yet), v: version after}]
-- p_commands  [{unit, id, stream, n: name, d: input, f: fingerprint, k: actor kind, o: actor id, r: rejection,
--               x: attempts, v: version after, c: correlation id if not id, g: causation id, at: submitted at}]
-- p_events    [{unit, id, stream, command, v: version, t: type, w: schema version, d: data}] in the order of the log
-- p_left_out  units that are not written

-- Moves the streams of a batch to their new versions.
-- Raises CS409 if one is at another version than was decided on, unique_violation if one is there already.
--
-- Its plans are made once, perhaps while the tables are still empty, and must hold when they are large: so it is only
-- allowed to look streams up by their key.
CREATE FUNCTION "move_streams"(p_streams jsonb, p_left_out int[]) RETURNS void
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
  moved int;
  to_move int;
BEGIN
  INSERT INTO streams (id, aggregate_type, aggregate_id, version)
  SELECT s.t || '-' || s.a, s.t, s.a, s.v
  FROM jsonb_to_recordset(p_streams) AS s(unit int, t text, a text, "from" int, v int)
  WHERE s.from = 0 AND s.v > 0 AND NOT s.unit = ANY (p_left_out);

  SELECT count(*) INTO to_move
  FROM jsonb_to_recordset(p_streams) AS s(unit int, "from" int, v int)
  WHERE s.from > 0 AND s.v > s.from AND NOT s.unit = ANY (p_left_out);
  IF to_move > 0 THEN
    UPDATE streams SET version = s.v
    FROM jsonb_to_recordset(p_streams) AS s(unit int, t text, a text, "from" int, v int)
    WHERE streams.id = s.t || '-' || s.a AND streams.version = s.from
      AND s.from > 0 AND s.v > s.from AND NOT s.unit = ANY (p_left_out);
    GET DIAGNOSTICS moved = ROW_COUNT;
    IF moved <> to_move THEN
      RAISE EXCEPTION 'a stream is at another version' USING ERRCODE = 'CS409';
    END IF;
  END IF;

  -- A rejection holds only for the version that it was decided on.
  IF EXISTS (
    SELECT FROM jsonb_to_recordset(p_streams) AS s(unit int, t text, a text, "from" int, v int)
    LEFT JOIN streams ON streams.id = s.t || '-' || s.a
    WHERE s.v = s.from AND coalesce(streams.version, 0) <> s.from AND NOT s.unit = ANY (p_left_out)
  ) THEN
    RAISE EXCEPTION 'a stream is at another version' USING ERRCODE = 'CS409';
  END IF;
END
$$;

-- Writes the events and commands of a batch, and moves the end of the log.
-- Raises unique_violation if a commandId is there already.
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
           at timestamptz
         )) WITH ORDINALITY AS c(unit, id, stream, n, d, f, k, o, r, x, v, c, g, at, place)
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
  ), last_of_command AS (
    SELECT command_id, max(position) AS position FROM written GROUP BY command_id
  ), stored AS (
    INSERT INTO commands (command_id, name, aggregate_type, aggregate_id, input, fingerprint, actor_kind, actor_id,
                          status, attempts, rejection, version, position, correlation_id, causation_id, submitted_at,
                          finished_at)
    SELECT c.id, c.n, s.type, s.aggregate, c.d, c.f, c.k, c.o,
           CASE WHEN c.r IS NULL THEN 'SUCCEEDED' ELSE 'REJECTED' END, c.x, c.r, c.v, last_of_command.position,
           c.correlation_id, c.g, c.at, greatest(p_instant, c.at)
    FROM given_commands AS c
    JOIN given_streams AS s ON s.place = c.stream
    LEFT JOIN last_of_command ON last_of_command.command_id = c.id
  )
  UPDATE log_head SET position = p_base + appended.number, recorded_at = p_instant
  FROM (SELECT count(*) AS number FROM written) AS appended
  WHERE log_head.id = 1 AND appended.number > 0;
END
$$;

-- The units of a batch that cannot be written, and the commandIds that are stored already. Like move_streams, it may
-- only look things up by their key.
CREATE FUNCTION "refused_units"(p_streams jsonb, p_commands jsonb, OUT conflicts int[], OUT repeating int[], OUT repeated uuid[])
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
BEGIN
  SELECT coalesce(array_agg(s.unit), '{}') INTO conflicts
  FROM jsonb_to_recordset(p_streams) AS s(unit int, t text, a text, "from" int)
  LEFT JOIN streams ON streams.id = s.t || '-' || s.a
  WHERE coalesce(streams.version, 0) <> s.from;

  SELECT coalesce(array_agg(c.unit), '{}'), coalesce(array_agg(c.id), '{}') INTO repeating, repeated
  FROM jsonb_to_recordset(p_commands) AS c(unit int, id uuid)
  JOIN commands ON commands.command_id = c.id;
END
$$;

-- Appends a batch of units, each all or nothing. Units do not share a stream. One that was decided on a version that its
-- stream no longer has, or with a command that is stored already, is left out and named in the answer; the others are
-- appended.
--
-- The row lock on log_head is held until commit, so positions are in commit order and without gaps, and a reader that
-- goes on from the highest position it saw never misses an event. Each statement of a volatile function takes a new
-- snapshot, so what is checked is as of after the lock was taken, not as of when the call began to wait for it.
--
-- Most batches have nothing to leave out: so they are written first, and looked through only if that fails.
--
-- Answer: events that were appended have the positions after base_position, in the order given.
CREATE FUNCTION "append_to_log"(p_streams jsonb, p_commands jsonb, p_events jsonb, p_now timestamptz)
RETURNS TABLE ("base_position" bigint, "recorded_at" timestamptz, "conflicts" int[], "repeated" uuid[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  head log_head;
  instant timestamptz;
  refused record;
BEGIN
  SELECT * INTO head FROM log_head WHERE id = 1 FOR UPDATE;
  -- A clock that jumps back never makes the log's instants decrease.
  instant := greatest(head.recorded_at, p_now);
  BEGIN
    PERFORM move_streams(p_streams, '{}');
    PERFORM write_events(p_streams, p_commands, p_events, head.position, instant, '{}');
    RETURN QUERY SELECT head.position, instant, '{}'::int[], '{}'::uuid[];
  EXCEPTION WHEN unique_violation OR SQLSTATE 'CS409' THEN
    SELECT * INTO refused FROM refused_units(p_streams, p_commands);
    PERFORM move_streams(p_streams, refused.conflicts || refused.repeating);
    PERFORM write_events(p_streams, p_commands, p_events, head.position, instant, refused.conflicts || refused.repeating);
    RETURN QUERY SELECT head.position, instant, refused.conflicts, refused.repeated;
  END;
END
$$;
