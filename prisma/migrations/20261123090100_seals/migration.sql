-- CreateTable
CREATE TABLE "log_seals" (
    "position" BIGINT NOT NULL,
    "first_position" BIGINT NOT NULL,
    "epoch" TEXT NOT NULL,
    "hashes" BYTEA NOT NULL,
    "key_id" TEXT NOT NULL,
    "signature" BYTEA NOT NULL,
    "sealed_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "log_seals_pkey" PRIMARY KEY ("position")
);

-- CreateIndex
CREATE UNIQUE INDEX "log_seals_first_position_key" ON "log_seals"("first_position");

-- CreateIndex
CREATE INDEX "log_seals_key_id_position_idx" ON "log_seals"("key_id", "position");


-- What Prisma's schema language cannot say.

-- Hashes cannot be compressed; and kept so, one of them is read without the others.
ALTER TABLE "log_seals" ALTER COLUMN "hashes" SET STORAGE EXTERNAL;

-- Adds the next seal. It must follow the last one: of several servers that seal at once, one gets through, and there is
-- never a fork. Shares a lock with others that use the store's master key against those that change it: what is signed
-- with the one before is there before the change, and is signed anew by it.
--
-- p_previous  the last hash of the seal before; not looked at where there is none
--
-- Answer: whether it was added.
CREATE FUNCTION "add_log_seal"(
  p_first bigint, p_position bigint, p_previous bytea, p_epoch text, p_hashes bytea, p_key_id text, p_signature bytea,
  p_sealed_at timestamptz
) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
  last_position bigint;
  last_hash bytea;
BEGIN
  PERFORM pg_advisory_xact_lock_shared(7267311);
  PERFORM pg_advisory_xact_lock(7267312);
  IF p_key_id IS DISTINCT FROM (SELECT master_key_id FROM subject_keys WHERE subject_id = '' AND version = 1) THEN
    RETURN false;
  END IF;
  SELECT position, substr(hashes, octet_length(hashes) - 31) INTO last_position, last_hash
  FROM log_seals ORDER BY position DESC LIMIT 1;
  IF coalesce(last_position, 0) <> p_first - 1 OR last_hash IS DISTINCT FROM p_previous AND last_position IS NOT NULL THEN
    RETURN false;
  END IF;
  INSERT INTO log_seals (position, first_position, epoch, hashes, key_id, signature, sealed_at)
  VALUES (p_position, p_first, p_epoch, p_hashes, p_key_id, p_signature, p_sealed_at);
  RETURN true;
END
$$;

-- Makes one seal of several that follow each other, of the same hashes. The last one's row becomes it.
--
-- Answer: whether it was done; not where they are not as they were read.
CREATE FUNCTION "merge_log_seals"(p_first bigint, p_position bigint, p_hashes bytea, p_key_id text, p_signature bytea)
RETURNS boolean
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM pg_advisory_xact_lock_shared(7267311);
  PERFORM pg_advisory_xact_lock(7267312);
  IF p_key_id IS DISTINCT FROM (SELECT master_key_id FROM subject_keys WHERE subject_id = '' AND version = 1)
    OR p_hashes IS DISTINCT FROM (
      SELECT string_agg(hashes, ''::bytea ORDER BY position) FROM log_seals
      WHERE position BETWEEN p_first AND p_position
    ) THEN
    RETURN false;
  END IF;
  DELETE FROM log_seals WHERE position >= p_first AND position < p_position;
  UPDATE log_seals SET first_position = p_first, hashes = p_hashes, key_id = p_key_id, signature = p_signature
  WHERE position = p_position;
  RETURN true;
END
$$;
