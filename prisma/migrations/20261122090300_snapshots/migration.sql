-- CreateTable
CREATE TABLE "snapshots" (
    "stream_id" TEXT NOT NULL,
    "version" INTEGER NOT NULL,
    "event_id" UUID NOT NULL,
    "shape" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "checksum" TEXT NOT NULL,
    "subjects" TEXT[],
    "taken_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "snapshots_pkey" PRIMARY KEY ("stream_id")
);

-- CreateIndex
CREATE INDEX "snapshots_subjects_idx" ON "snapshots" USING GIN ("subjects");
