-- CreateTable
CREATE TABLE "order_view" (
    "id" TEXT NOT NULL,
    "number" TEXT NOT NULL,
    "status" TEXT NOT NULL,
    "status_reason" TEXT,
    "customer_id" TEXT NOT NULL,
    "owner_id" TEXT,
    "currency" TEXT NOT NULL,
    "lines" JSONB NOT NULL,
    "discounts" JSONB NOT NULL,
    "total_minor" BIGINT NOT NULL,
    "email" TEXT,
    "shipping_address" TEXT,
    "payments" JSONB NOT NULL,
    "shipments" JSONB NOT NULL,
    "payment_deadline" TIMESTAMPTZ(3) NOT NULL,
    "correlation_id" UUID NOT NULL,
    "version" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,
    "placed_position" BIGINT NOT NULL,
    "placed_at" TIMESTAMPTZ(3) NOT NULL,
    "updated_at" TIMESTAMPTZ(3) NOT NULL,

    CONSTRAINT "order_view_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "order_view_placed_position_idx" ON "order_view"("placed_position");

-- CreateIndex
CREATE INDEX "order_view_customer_id_placed_position_idx" ON "order_view"("customer_id", "placed_position");

-- CreateIndex
CREATE INDEX "order_view_status_placed_position_idx" ON "order_view"("status", "placed_position");
