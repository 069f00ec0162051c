-- CreateIndex
CREATE INDEX "events_correlation_id_position_idx" ON "events"("correlation_id", "position") WHERE (correlation_id <> command_id);


-- What Prisma's schema language cannot say.

-- The last position that was given at an instant or before; 0 if there was none yet. Instants never decrease as positions
-- grow, so it is looked for like a word in a dictionary: some twenty looks into a log of a million events. Positions may
-- have gaps, where events were moved elsewhere.
--
-- Like all that is planned once, it may only look things up by their key.
CREATE FUNCTION "position_at"(p_at timestamptz) RETURNS bigint
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
    RETURN high;
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
  RETURN low;
END
$$;

-- The version that a stream had at a position; 0 if it had not begun. In a stream, too, the one grows with the other.
CREATE FUNCTION "stream_version_at"(p_stream text, p_position bigint) RETURNS int
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
  RETURN low;
END
$$;
