-- CreateTable
CREATE TABLE "customer_view" (
    "customer_id" TEXT NOT NULL,
    "email" TEXT,
    "name" TEXT,
    "folded_email" TEXT,
    "email_hash" TEXT,
    "version" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,
    "known_since" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "customer_view_pkey" PRIMARY KEY ("customer_id")
);

-- CreateIndex
CREATE INDEX "customer_view_email_hash_idx" ON "customer_view"("email_hash");

-- CreateTable
CREATE TABLE "notification_view" (
    "id" TEXT NOT NULL,
    "order_id" TEXT NOT NULL,
    "customer_id" TEXT NOT NULL,
    "recipient" TEXT,
    "notice" JSONB NOT NULL,
    "status" TEXT NOT NULL,
    "failure_reason" TEXT,
    "position" BIGINT NOT NULL,
    "queued_position" BIGINT NOT NULL,
    "queued_at" TIMESTAMPTZ(3) NOT NULL,
    "sent_at" TIMESTAMPTZ(3),

    CONSTRAINT "notification_view_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "notification_view_queued_position_idx" ON "notification_view"("queued_position");

-- CreateIndex
CREATE INDEX "notification_view_order_id_queued_position_idx" ON "notification_view"("order_id", "queued_position");

-- CreateIndex
CREATE INDEX "notification_view_customer_id_queued_position_idx" ON "notification_view"("customer_id", "queued_position");
