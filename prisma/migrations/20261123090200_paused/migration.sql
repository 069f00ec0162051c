-- CreateTable
CREATE TABLE "store_state" (
    "id" INTEGER NOT NULL,
    "paused_at" TIMESTAMPTZ(3),
    "pause_reason" TEXT,

    CONSTRAINT "store_state_pkey" PRIMARY KEY ("id")
);


-- What Prisma's schema language cannot say.

INSERT INTO "store_state" ("id") VALUES (1);

-- Whether what is queued has to wait: after a restore, until an operator has looked at it.
CREATE FUNCTION "is_paused"() RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT FROM store_state WHERE id = 1 AND paused_at IS NOT NULL)
$$;

-- Lets what is queued run again, on every server at once. Answer: false where it was not paused.
CREATE FUNCTION "resume_store"() RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE store_state SET paused_at = NULL, pause_reason = NULL WHERE id = 1 AND paused_at IS NOT NULL;
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  PERFORM tell('queue');
  RETURN true;
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
-- p_rooms    of these, how many of each kind of aggregate: {payment: 64}. Those of a kind wait for the same party outside,
--            and must not take the room of others when it is slow. Of a kind that is not named, none is claimed.
--
-- While the store is paused nothing is claimed, and nothing times out: not by any process, of whatever version.
--
-- Answer: what the commands need to be run, in order; and, with timed_out, those that never will be.
CREATE OR REPLACE FUNCTION "claim_commands"(
  p_node uuid, p_now timestamptz, p_limit int, p_running uuid[], p_perform int, p_rooms jsonb
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
  IF NOT is_alive(p_node) OR is_paused() THEN
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
        SELECT performed.due_at, performed.seq
        FROM jsonb_each_text(p_rooms) AS room(kind, places)
        CROSS JOIN LATERAL (
          SELECT own.due_at, own.seq FROM (
            (
              SELECT queued.due_at, queued.seq FROM command_queue AS queued
              WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND queued.is_performed AND NOT queued.is_delayed
                AND split_part(queued.lane, '-', 1) = room.kind
                AND (queued.deadline IS NULL OR queued.deadline > p_now) AND (queued.retry_at IS NULL OR queued.retry_at <= p_now)
              ORDER BY queued.due_at, queued.seq LIMIT room.places::int
            ) UNION ALL (
              SELECT queued.due_at, queued.seq FROM command_queue AS queued
              WHERE queued.owner IS NULL AND queued.dead_letter_id IS NULL AND queued.is_performed AND queued.is_delayed
                AND queued.due_at <= p_now AND split_part(queued.lane, '-', 1) = room.kind
                AND (queued.deadline IS NULL OR queued.deadline > p_now) AND (queued.retry_at IS NULL OR queued.retry_at <= p_now)
              ORDER BY queued.due_at, queued.seq LIMIT room.places::int
            )
          ) AS own
          ORDER BY own.due_at, own.seq LIMIT room.places::int
        ) AS performed
        WHERE room.places::int > 0 AND p_perform > 0
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
