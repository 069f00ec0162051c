-- AlterTable
ALTER TABLE "checkpoints" ADD COLUMN "generation" INTEGER NOT NULL DEFAULT 0,
ADD COLUMN "rows_version" INTEGER NOT NULL DEFAULT 0;
UPDATE "checkpoints" SET "rows_version" = "version";

-- CreateTable
CREATE TABLE "rebuilds" (
    "name" TEXT NOT NULL,
    "run" INTEGER NOT NULL,
    "status" TEXT NOT NULL,
    "position" BIGINT NOT NULL,
    "total" BIGINT NOT NULL,
    "to_version" INTEGER,
    "shadow" TEXT,
    "owner" UUID,
    "attempts" INTEGER NOT NULL DEFAULT 0,
    "differences" BIGINT,
    "different_keys" TEXT[],
    "error" TEXT,
    "started_at" TIMESTAMPTZ(3) NOT NULL,
    "finished_at" TIMESTAMPTZ(3),

    CONSTRAINT "rebuilds_pkey" PRIMARY KEY ("name")
);


-- What Prisma's schema language cannot say.

-- Whether a rebuild is still to be brought to its end.
CREATE FUNCTION "is_under_way"(p_rebuild "rebuilds") RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
  SELECT p_rebuild.status IN ('RUNNING', 'COMPARING')
$$;

-- Begins rebuilds and cancels them, in the order in which that was decided.
-- Raises CS409 if one is not as it was decided on.
--
-- p_work  {rebuilds: [{unit, name: of the checkpoint, run, begin: or else cancel}]}
-- p_base  the end of the log: so many events are to be read
CREATE FUNCTION "do_rebuilds"(p_work jsonb, p_base bigint, p_instant timestamptz, p_left_out int[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  wish record;
BEGIN
  FOR wish IN
    SELECT w.* FROM ROWS FROM (jsonb_to_recordset(p_work->'rebuilds') AS (
      unit int, name text, run int, begin boolean
    )) WITH ORDINALITY AS w(unit, name, run, begins, place)
    WHERE NOT w.unit = ANY (p_left_out) ORDER BY w.place
  LOOP
    IF wish.begins THEN
      INSERT INTO rebuilds AS mine (name, run, status, position, total, started_at)
      VALUES (wish.name, wish.run, 'RUNNING', 0, p_base, p_instant)
      ON CONFLICT (name) DO UPDATE
      SET run = EXCLUDED.run, status = 'RUNNING', position = 0, total = p_base, to_version = NULL, owner = NULL,
          attempts = 0, differences = NULL, different_keys = NULL, error = NULL, started_at = p_instant, finished_at = NULL
      WHERE mine.run = EXCLUDED.run - 1 AND NOT is_under_way(mine);
    ELSE
      UPDATE rebuilds AS mine SET status = 'CANCELLED', finished_at = p_instant, owner = NULL
      WHERE mine.name = wish.name AND mine.run = wish.run AND is_under_way(mine);
    END IF;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'a rebuild is not as it was decided on' USING ERRCODE = 'CS409';
    END IF;
  END LOOP;
  PERFORM tell('rebuild');
END
$$;

-- The units of a batch that cannot be written, and the commandIds that are stored already. It may only look things up by
-- their key. Of a rebuild, what a unit decided first must fit; the rest follows from that. Those rows are locked, for who
-- rebuilds changes them without any stream being moved: what is left out must then be all that there is to leave out.
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

-- What a batch does beside its events: with the queue and the dead letters, as before, and with rebuilds.
ALTER FUNCTION "do_work"(jsonb, jsonb, bigint, timestamptz, int[]) RENAME TO "do_queue_work";
CREATE FUNCTION "do_work"(
  p_work jsonb, p_commands jsonb, p_base bigint, p_instant timestamptz, p_left_out int[]
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM do_queue_work(p_work, p_commands, p_base, p_instant, p_left_out);
  IF p_work ? 'rebuilds' THEN
    PERFORM do_rebuilds(p_work, p_base, p_instant, p_left_out);
  END IF;
END
$$;

-- Takes the followers of the log that nobody owns, or that belong to an older version of the code. From then on nothing
-- that an older one still writes goes through. What that made stays, and is what rows_version says, until it is replaced;
-- where nothing was made yet, there is nothing to replace. A follower that is there with a higher version is left alone.
--
-- p_followers  [{name, version}]
-- Answer: all of them as they are then.
DROP FUNCTION "own_followers"(uuid, jsonb);
CREATE FUNCTION "own_followers"(p_node uuid, p_followers jsonb)
RETURNS TABLE (
  "name" text, "version" int, "position" bigint, "owner" uuid, "attempted" bigint, "attempts" int, "parked_changes" int,
  "rows_version" int, "generation" int
)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  INSERT INTO checkpoints (name, version, rows_version, position, updated_at)
  SELECT f.name, f.version, f.version, 0, clock_timestamp()
  FROM jsonb_to_recordset(p_followers) AS f(name text, version int)
  WHERE NOT EXISTS (SELECT FROM checkpoints AS known WHERE known.name = f.name)
  ON CONFLICT (name) DO NOTHING;
  UPDATE checkpoints AS mine
  SET owner = p_node, version = f.version,
      rows_version = CASE WHEN mine.position = 0 THEN f.version ELSE mine.rows_version END
  FROM jsonb_to_recordset(p_followers) AS f(name text, version int)
  WHERE mine.name = f.name AND mine.version <= f.version AND is_alive(p_node)
    AND (mine.owner IS NULL OR mine.version < f.version OR (mine.owner <> p_node AND NOT is_alive(mine.owner)));
  RETURN QUERY
  SELECT c.name, c.version, c.position, c.owner, c.attempted, c.attempts, c.parked_changes, c.rows_version, c.generation
  FROM checkpoints AS c JOIN jsonb_to_recordset(p_followers) AS f(name text, version int) ON f.name = c.name;
END
$$;

-- Has the rows of a projection rebuilt because they are of an older version than its code; once for each version, unless
-- that rebuild came to an end without having replaced them.
CREATE FUNCTION "rebuild_outdated"(p_name text, p_node uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO rebuilds AS mine (name, run, status, position, total, started_at)
  SELECT c.name, 1, 'RUNNING', 0, (SELECT position FROM log_head WHERE log_head.id = 1), p_now
  FROM checkpoints AS c WHERE c.name = p_name AND c.owner = p_node AND c.rows_version < c.version
  ON CONFLICT (name) DO UPDATE
  SET run = mine.run + 1, status = 'RUNNING', position = 0, total = EXCLUDED.total, to_version = NULL, owner = NULL,
      attempts = 0, differences = NULL, different_keys = NULL, error = NULL, started_at = p_now, finished_at = NULL
  WHERE NOT is_under_way(mine);
  PERFORM tell('rebuild');
END
$$;

-- Takes a rebuild on, and counts that: whoever owns the projection's checkpoint does it, in the version of its code. From
-- then on nothing that another node still writes to the shadow goes through.
-- Answer: the rebuild as it is then; no row where there is none, or where the node does not own the projection.
CREATE FUNCTION "claim_rebuild"(p_name text, p_version int, p_node uuid) RETURNS SETOF "rebuilds"
LANGUAGE sql AS $$
  UPDATE rebuilds AS mine SET owner = p_node, attempts = mine.attempts + 1, status = 'RUNNING'
  FROM checkpoints AS c
  WHERE mine.name = p_name AND is_under_way(mine)
    AND c.name = p_name AND c.owner = p_node AND c.version = p_version AND is_alive(p_node)
  RETURNING mine.*
$$;

-- Makes the empty table that a rebuild fills beside the live one, with all that the live one has.
-- Answer: false where the rebuild is not that node's any more.
CREATE FUNCTION "begin_rebuild"(
  p_name text, p_run int, p_node uuid, p_version int, p_table text, p_shadow text
) RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  UPDATE rebuilds AS mine SET status = 'RUNNING', position = 0, to_version = p_version, shadow = p_shadow
  WHERE mine.name = p_name AND mine.run = p_run AND mine.owner = p_node AND is_under_way(mine);
  IF NOT FOUND THEN
    RETURN false;
  END IF;
  EXECUTE format('DROP TABLE IF EXISTS %I', p_shadow);
  EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING ALL)', p_shadow, p_table);
  RETURN true;
END
$$;

-- Drops the table that a rebuild has left behind which came to its end otherwise than by replacing the live one.
-- Somebody may still write to it, and is waited for only briefly: it is tried again.
CREATE FUNCTION "clear_rebuild"(p_name text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
  left_behind text;
BEGIN
  PERFORM set_config('lock_timeout', '300ms', true);
  UPDATE rebuilds AS mine SET shadow = NULL
  FROM (SELECT name, shadow FROM rebuilds WHERE name = p_name FOR UPDATE) AS before
  WHERE mine.name = before.name AND before.shadow IS NOT NULL AND NOT is_under_way(mine)
  RETURNING before.shadow INTO left_behind;
  IF left_behind IS NOT NULL THEN
    EXECUTE format('DROP TABLE IF EXISTS %I', left_behind);
  END IF;
EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
  RETURN;
END
$$;

-- Puts the rebuilt table in the place of the live one, both being as of the same position, with the checkpoint: readers
-- see all of the old one or all of the new one. What was parked the new one has.
--
-- Nobody writes to the live table meanwhile: only the owner of the checkpoint may, and it is the owner who calls this,
-- between two batches. Those who read it are waited for, but so briefly that nobody who comes after them waits for long.
--
-- The new table gets the old one's name, its indexes their names, and whoever had rights to the old one has them to the
-- new one. What else depends on the old one (a view, say) makes the whole thing fail with the database's own words.
--
-- Answer: swapped, busy (the table is being read: try again), or lost (checkpoint or rebuild are another's, or elsewhere).
CREATE FUNCTION "swap_rebuild"(
  p_name text, p_run int, p_node uuid, p_version int, p_from bigint, p_to bigint, p_table text, p_shadow text,
  p_differences bigint, p_keys text[], p_now timestamptz
) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
  it record;
  indexes jsonb;
  has_all boolean;
BEGIN
  PERFORM set_config('lock_timeout', '300ms', true);
  UPDATE rebuilds AS mine
  SET status = 'SWAPPED', shadow = NULL, owner = NULL, finished_at = p_now, total = p_to, differences = p_differences,
      different_keys = p_keys
  WHERE mine.name = p_name AND mine.run = p_run AND mine.owner = p_node AND mine.to_version = p_version
    AND mine.position = p_to AND mine.shadow = p_shadow AND is_under_way(mine);
  IF NOT FOUND THEN
    RETURN 'lost';
  END IF;
  UPDATE checkpoints
  SET position = p_to, rows_version = p_version, generation = generation + 1, parked_changes = parked_changes + 1,
      updated_at = p_now
  WHERE name = p_name AND version = p_version AND owner = p_node AND position = p_from;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the checkpoint is elsewhere' USING ERRCODE = 'CS409';
  END IF;
  DELETE FROM parked_events WHERE source = p_name;
  UPDATE dead_letters SET status = 'RETRIED', resolved_at = p_now WHERE source = p_name AND status = 'OPEN';

  EXECUTE format('LOCK TABLE %I IN ACCESS EXCLUSIVE MODE', p_table);
  FOR it IN
    SELECT acl.privilege_type, coalesce(quote_ident(role.rolname), 'PUBLIC') AS grantee, acl.is_grantable
    FROM pg_class, aclexplode(pg_class.relacl) AS acl LEFT JOIN pg_roles AS role ON role.oid = acl.grantee
    WHERE pg_class.oid = format('%I', p_table)::regclass
  LOOP
    EXECUTE format('GRANT %s ON %I TO %s%s', it.privilege_type, p_shadow, it.grantee,
                   CASE WHEN it.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
  WITH found AS (
    SELECT index.indrelid, class.relname, index.indisunique, index.indisprimary, parts.definition, row_number() OVER (
             PARTITION BY index.indrelid, index.indisunique, index.indisprimary, parts.definition ORDER BY class.relname
           ) AS nth
    FROM pg_index AS index
    JOIN pg_class AS class ON class.oid = index.indexrelid
    CROSS JOIN LATERAL (SELECT substring(pg_get_indexdef(index.indexrelid) FROM ' USING .*$') AS definition) AS parts
    WHERE index.indrelid IN (format('%I', p_table)::regclass, format('%I', p_shadow)::regclass)
  )
  SELECT jsonb_agg(jsonb_build_object('wanted', old.relname, 'present', new.relname)),
         bool_and(old.relname IS NOT NULL AND new.relname IS NOT NULL)
  INTO indexes, has_all
  FROM (SELECT * FROM found WHERE indrelid = format('%I', p_table)::regclass) AS old
  FULL JOIN (SELECT * FROM found WHERE indrelid = format('%I', p_shadow)::regclass) AS new
    USING (indisunique, indisprimary, definition, nth);
  IF NOT has_all THEN
    RAISE EXCEPTION 'The indexes of % have changed since the rebuild began: begin it anew.', p_table;
  END IF;
  EXECUTE format('DROP TABLE %I', p_table);
  EXECUTE format('ALTER TABLE %I RENAME TO %I', p_shadow, p_table);
  FOR it IN SELECT * FROM jsonb_to_recordset(indexes) AS names(wanted text, present text) LOOP
    EXECUTE format('ALTER INDEX %I RENAME TO %I', it.present, it.wanted);
  END LOOP;
  PERFORM tell('checkpoint ' || p_to || ' ' || p_name);
  PERFORM tell('nodes');
  PERFORM tell('rebuild');
  RETURN 'swapped';
EXCEPTION
  WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'busy';
  WHEN SQLSTATE 'CS409' THEN
    RETURN 'lost';
END
$$;
