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

-- Sorting and searching are the same on every engine and locale.
ALTER TABLE "product_view" ALTER COLUMN "sort_name" TYPE TEXT COLLATE "C", ALTER COLUMN "sku" TYPE TEXT COLLATE "C";

-- The epoch is the instant at which this store's life began, in milliseconds, as hexadecimal: later ones sort later, and
-- a position of another store is recognised.
INSERT INTO "log_head" ("id", "epoch", "position", "recorded_at")
VALUES (1, lpad(to_hex((extract(epoch FROM clock_timestamp()) * 1000)::bigint), 12, '0'), 0, to_timestamp(0));

-- Appends a batch of units: each a set of streams, of commands and of events, all or nothing. Units do not share a
-- stream. One that was decided on a version that its stream no longer has, or with a command that is stored already,
-- is left out and named in the answer; the others are appended.
--
-- The row lock on log_head is held until commit, so positions are in commit order and without gaps, and a reader that
-- goes on from the highest position it saw never misses an event. Each statement of a volatile function takes a new
-- snapshot, so what is checked below is as of after the lock was taken, not as of when the call began to wait for it.
--
-- p_streams  [{unit, id, type, aggregate, decided_on, version}]   decided_on: 0 for a stream that is not there yet
-- p_commands [{unit, …}]                                          as in the table commands
-- p_events   [{unit, …}]                                          as in the table events, in the order of the log
-- Answer: events that were appended have the positions after base_position, in the order given.
CREATE FUNCTION "append_to_log"(p_streams jsonb, p_commands jsonb, p_events jsonb, p_now timestamptz)
RETURNS TABLE ("base_position" bigint, "recorded_at" timestamptz, "conflicts" int[], "repeated" uuid[])
LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  head log_head;
  base bigint;
  instant timestamptz;
  conflicted int[];
  known uuid[];
  left_out int[];
  appended bigint;
BEGIN
  SELECT * INTO head FROM log_head WHERE id = 1 FOR UPDATE;
  base := head.position;
  -- A clock that jumps back never makes the log's instants decrease.
  instant := greatest(head.recorded_at, p_now);

  SELECT array_agg(given.unit) INTO conflicted
  FROM jsonb_to_recordset(p_streams) AS given(unit int, id text, decided_on int)
  LEFT JOIN streams ON streams.id = given.id
  WHERE coalesce(streams.version, 0) <> given.decided_on;

  SELECT array_agg(given.unit), array_agg(given.command_id) INTO left_out, known
  FROM jsonb_to_recordset(p_commands) AS given(unit int, command_id uuid)
  JOIN commands ON commands.command_id = given.command_id;

  left_out := coalesce(conflicted, '{}') || coalesce(left_out, '{}');

  INSERT INTO streams (id, aggregate_type, aggregate_id, version)
  SELECT given.id, given.type, given.aggregate, given.version
  FROM jsonb_to_recordset(p_streams) AS given(unit int, id text, type text, aggregate text, decided_on int, version int)
  WHERE given.version > given.decided_on AND NOT given.unit = ANY (left_out)
  ON CONFLICT (id) DO UPDATE SET version = EXCLUDED.version;

  WITH numbered AS (
    SELECT base + row_number() OVER (ORDER BY item.place) AS position, given.*
    FROM jsonb_array_elements(p_events) WITH ORDINALITY AS item(value, place),
         jsonb_to_record(item.value) AS given(
           unit int, event_id uuid, stream_id text, aggregate_type text, aggregate_id text, version int, type text,
           schema_version int, data jsonb, actor_kind text, actor_id text, command_id uuid, correlation_id uuid,
           causation_id uuid)
    WHERE NOT given.unit = ANY (left_out)
  ), written AS (
    INSERT INTO events (position, event_id, stream_id, aggregate_type, aggregate_id, version, type, schema_version,
                        data, actor_kind, actor_id, command_id, correlation_id, causation_id, recorded_at)
    SELECT position, event_id, stream_id, aggregate_type, aggregate_id, version, type, schema_version,
           data, actor_kind, actor_id, command_id, correlation_id, causation_id, instant
    FROM numbered
    RETURNING command_id, position
  ), last_of_command AS (
    SELECT command_id, max(position) AS position FROM written GROUP BY command_id
  ), stored AS (
    INSERT INTO commands (command_id, name, aggregate_type, aggregate_id, input, fingerprint, actor_kind, actor_id,
                          status, attempts, rejection, version, position, correlation_id, causation_id, submitted_at,
                          finished_at)
    SELECT given.command_id, given.name, given.aggregate_type, given.aggregate_id, given.input, given.fingerprint,
           given.actor_kind, given.actor_id, given.status, given.attempts, nullif(given.rejection, 'null'),
           given.version, last_of_command.position, given.correlation_id, given.causation_id, given.submitted_at,
           greatest(instant, given.submitted_at)
    FROM jsonb_to_recordset(p_commands) AS given(
           unit int, command_id uuid, name text, aggregate_type text, aggregate_id text, input jsonb, fingerprint text,
           actor_kind text, actor_id text, status text, attempts int, rejection jsonb, version int,
           correlation_id uuid, causation_id uuid, submitted_at timestamptz)
    LEFT JOIN last_of_command ON last_of_command.command_id = given.command_id
    WHERE NOT given.unit = ANY (left_out)
  )
  SELECT count(*) INTO appended FROM written;

  UPDATE log_head SET position = base + appended, recorded_at = instant WHERE id = 1 AND appended > 0;

  RETURN QUERY SELECT base, instant, coalesce(conflicted, '{}'), coalesce(known, '{}');
END
$$;
