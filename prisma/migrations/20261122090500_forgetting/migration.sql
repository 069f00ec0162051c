-- A subject has several keys, one after the other: the newest seals, the others only open what they sealed.
ALTER TABLE "subject_keys" ADD COLUMN "version" INTEGER NOT NULL DEFAULT 1,
DROP CONSTRAINT "subject_keys_pkey",
ADD CONSTRAINT "subject_keys_pkey" PRIMARY KEY ("subject_id", "version");

-- CreateIndex
CREATE INDEX "subject_keys_master_key_id_subject_id_version_idx" ON "subject_keys"("master_key_id", "subject_id", "version") WHERE (wrapped_key IS NOT NULL);

-- Which master keys a server knows: the store may only go over to one that all of them know.
ALTER TABLE "nodes" ADD COLUMN "master_key_ids" TEXT[];

-- Customers' own copy of what is under way for somebody: while anything is, they cannot be forgotten.
CREATE TABLE "customer_order" (
    "order_id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "cart_id" TEXT NOT NULL,
    "progress" TEXT NOT NULL,
    "payments" JSONB NOT NULL,
    "shipment_ids" JSONB NOT NULL,
    "is_open" BOOLEAN NOT NULL,
    "position" BIGINT NOT NULL,

    CONSTRAINT "customer_order_pkey" PRIMARY KEY ("order_id")
);

-- CreateIndex
CREATE INDEX "customer_order_customer_id_order_id_idx" ON "customer_order"("customer_id", "order_id");

-- What somebody sent, for whoever wants to see all that is kept of them.
CREATE INDEX "commands_actor_id_submitted_at_idx" ON "commands"("actor_id", "submitted_at", "command_id") WHERE (actor_kind = ANY (ARRAY['CUSTOMER'::text, 'GUEST'::text]));

-- CreateIndex
CREATE INDEX "cart_view_customer_id_idx" ON "cart_view"("customer_id") WHERE (customer_id IS NOT NULL);


-- What Prisma's schema language cannot say.

-- Makes keys for subjects that have none; answers all keys that these subjects have.
--
-- Shares a lock with others that make keys, against those that forget a subject or change the master key: what this finds
-- holds until it has committed. A statement for each step: each sees what was committed while it waited for the lock.
--
-- p_made           [{subject, wrapped}]
-- p_master_key_id  that they are wrapped with. If the store has gone over to another one, none is made: whoever asked
--                  finds the id of that one at the store's own key, which is always in the answer.
CREATE FUNCTION "make_subject_keys"(p_made jsonb, p_master_key_id text)
RETURNS TABLE ("subjectId" text, "version" int, "wrappedKey" text, "masterKeyId" text, "isDestroyed" boolean)
LANGUAGE plpgsql
SET plan_cache_mode = force_generic_plan SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
  current_id text;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(7267311);
  SELECT master_key_id INTO current_id FROM subject_keys WHERE subject_id = '' AND version = 1;
  IF coalesce(current_id, p_master_key_id) = p_master_key_id THEN
    -- In one order, so that two that make the same keys at once do not wait for each other.
    INSERT INTO subject_keys (subject_id, version, wrapped_key, master_key_id, created_at)
    SELECT made.subject, 1, made.wrapped, p_master_key_id, now()
    FROM jsonb_to_recordset(p_made) AS made(subject text, wrapped text)
    WHERE NOT EXISTS (SELECT FROM subject_keys AS known WHERE known.subject_id = made.subject)
    ORDER BY made.subject
    ON CONFLICT (subject_id, version) DO NOTHING;
  END IF;
  RETURN QUERY
  SELECT k.subject_id, k.version, k.wrapped_key, k.master_key_id, k.destroyed_at IS NOT NULL
  FROM (
    SELECT made.subject FROM jsonb_to_recordset(p_made) AS made(subject text) UNION SELECT ''
  ) AS asked
  JOIN subject_keys AS k ON k.subject_id = asked.subject;
END
$$;

-- Gives subjects a new key each, which seals from now on. Who was forgotten gets none, nor who never had one.
--
-- p_made  [{subject, version: of the new key, wrapped}]; a version that is there already is left as it is.
--
-- Answer: how many were added.
CREATE FUNCTION "rotate_subject_keys"(p_made jsonb, p_master_key_id text) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
  added int;
BEGIN
  PERFORM pg_advisory_xact_lock(7267311);
  INSERT INTO subject_keys (subject_id, version, wrapped_key, master_key_id, created_at)
  SELECT made.subject, made.version, made.wrapped, p_master_key_id, now()
  FROM jsonb_to_recordset(p_made) AS made(subject text, version int, wrapped text)
  WHERE p_master_key_id = (SELECT own.master_key_id FROM subject_keys AS own WHERE own.subject_id = '' AND own.version = 1)
    AND EXISTS (
      SELECT FROM subject_keys AS before
      WHERE before.subject_id = made.subject AND before.version = made.version - 1 AND before.wrapped_key IS NOT NULL
    )
  ON CONFLICT (subject_id, version) DO NOTHING;
  GET DIAGNOSTICS added = ROW_COUNT;
  RETURN added;
END
$$;

-- Wraps keys with another master key, which the store uses from then on once its own key is among them. Keys that were
-- changed or destroyed meanwhile are left as they are.
--
-- p_rewrapped  [{subject, version, before: as it was, wrapped}]
--
-- Answer: how many were changed.
CREATE FUNCTION "rewrap_subject_keys"(p_rewrapped jsonb, p_master_key_id text) RETURNS int
LANGUAGE plpgsql AS $$
DECLARE
  changed int;
BEGIN
  PERFORM pg_advisory_xact_lock(7267311);
  UPDATE subject_keys AS k SET wrapped_key = it.wrapped, master_key_id = p_master_key_id
  FROM jsonb_to_recordset(p_rewrapped) AS it(subject text, version int, before text, wrapped text)
  WHERE k.subject_id = it.subject AND k.version = it.version AND k.wrapped_key = it.before;
  GET DIAGNOSTICS changed = ROW_COUNT;
  RETURN changed;
END
$$;

-- Destroys all keys of subjects. A row stays of each, also of who never had a key: so none is ever made again.
CREATE FUNCTION "forget_subjects"(p_subjects text[], p_instant timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock(7267311);
  UPDATE subject_keys SET wrapped_key = NULL, destroyed_at = p_instant
  WHERE subject_id = ANY (p_subjects) AND subject_id <> '' AND destroyed_at IS NULL;
  INSERT INTO subject_keys (subject_id, version, wrapped_key, master_key_id, created_at, destroyed_at)
  SELECT DISTINCT subject, 1, NULL, '', p_instant, p_instant FROM unnest(p_subjects) AS subject WHERE subject <> ''
  ON CONFLICT (subject_id, version) DO NOTHING;
  -- What is personal in them nobody can read any more; the rest is made anew from the log.
  DELETE FROM snapshots WHERE subjects && p_subjects;
END
$$;

-- As it was, and beside that
--
-- p_subjects  whose keys protect something in this batch. If one was destroyed before, nothing is appended: nothing that
--             comes after that in the log is sealed with such a key. Both are done under the lock on log_head.
-- p_work      forgotten: [{unit, subject}]: subjects whose keys are destroyed with it
--
-- Answer: forgotten, those of p_subjects whose key was destroyed; null if there are none.
DROP FUNCTION "append_to_log"(jsonb, jsonb, jsonb, timestamptz, jsonb);
CREATE FUNCTION "append_to_log"(
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
    IF p_work IS NOT NULL THEN
      PERFORM do_work(p_work, p_commands, head.position, instant, '{}');
    END IF;
    RETURN QUERY SELECT head.position, instant, '{}'::int[], '{}'::uuid[], '{}'::int[], NULL::text[];
  EXCEPTION WHEN unique_violation OR SQLSTATE 'CS409' OR SQLSTATE 'CS410' THEN
    SELECT * INTO refused FROM refused_units(p_streams, p_commands, p_work);
    left_out := refused.conflicts || refused.repeating || refused.unclaimed;
    PERFORM move_streams(p_streams, left_out);
    PERFORM write_events(p_streams, p_commands, p_events, head.position, instant, left_out);
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
