-- AlterTable
ALTER TABLE "commands" ADD COLUMN     "was_queued" BOOLEAN NOT NULL DEFAULT false;


-- What Prisma's schema language cannot say.

-- As far as it can still be told of those that there are.
UPDATE "commands" SET "was_queued" = true
WHERE "due_at" IS NOT NULL OR "deadline" IS NOT NULL
   OR EXISTS (SELECT FROM "command_queue" AS queued WHERE queued.command_id = "commands"."command_id");

-- As it was, and each is known as one that was queued.
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
                          submitted_at, due_at, deadline, secrets, was_queued)
    SELECT id, n, t, a, d, f, k, o, 'QUEUED', 0, e, coalesce(c, id), g, it, ii, p_now, due, deadline, w, true FROM given
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
