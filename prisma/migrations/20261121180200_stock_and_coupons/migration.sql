-- What a cart's coupon takes off, and the order that the cart becomes.
ALTER TABLE "cart_view" ADD COLUMN "coupon" JSONB,
ADD COLUMN "order_id" TEXT;

-- Read table of coupons, and what carts decide from.
CREATE TABLE "coupon_view" (
    "code" TEXT NOT NULL,
    "label" TEXT NOT NULL,
    "percent" INTEGER,
    "amount_minor" BIGINT,
    "currency" TEXT,
    "valid_from" TIMESTAMPTZ(3),
    "valid_to" TIMESTAMPTZ(3),
    "max_uses" INTEGER,
    "uses" INTEGER NOT NULL,
    "version" INTEGER NOT NULL,
    "position" BIGINT NOT NULL,

    CONSTRAINT "coupon_view_pkey" PRIMARY KEY ("code")
);
