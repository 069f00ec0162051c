-- CreateTable
CREATE TABLE "read_audit" (
    "id" UUID NOT NULL,
    "at" TIMESTAMPTZ(3) NOT NULL,
    "actor_kind" TEXT NOT NULL,
    "actor_id" TEXT,
    "operation" TEXT,
    "field" TEXT NOT NULL,
    "outcome" TEXT NOT NULL,
    "aggregate_type" TEXT,
    "aggregate_id" TEXT,
    "correlation_id" UUID NOT NULL,

    CONSTRAINT "read_audit_pkey" PRIMARY KEY ("at","id")
);

-- CreateIndex
CREATE INDEX "read_audit_aggregate_id_at_id_idx" ON "read_audit"("aggregate_id", "at", "id");

-- CreateIndex
CREATE INDEX "read_audit_aggregate_type_at_id_idx" ON "read_audit"("aggregate_type", "at", "id");

-- CreateIndex
CREATE INDEX "read_audit_actor_id_at_id_idx" ON "read_audit"("actor_id", "at", "id");


-- What Prisma's schema language cannot say.

-- Deletes so many of the reads that were recorded before an instant, the oldest first. One node at a time.
--
-- Answer: how many; null if another node is at it.
CREATE FUNCTION "delete_old_reads"(p_before timestamptz, p_limit int) RETURNS int
LANGUAGE plpgsql SET synchronous_commit = off AS $$
DECLARE
  deleted int;
BEGIN
  IF NOT pg_try_advisory_xact_lock(7267333) THEN
    RETURN NULL;
  END IF;
  DELETE FROM read_audit AS gone USING (
    SELECT old.at, old.id FROM read_audit AS old WHERE old.at < p_before ORDER BY old.at, old.id LIMIT p_limit
  ) AS first
  WHERE gone.at = first.at AND gone.id = first.id;
  GET DIAGNOSTICS deleted = ROW_COUNT;
  RETURN deleted;
END
$$;
