import type { LoadRecords } from '../shared-types.ts';
import { type OrderRow, orderProjection } from './projection.ts';

/** The orders of somebody, with their payments and shipments. */
export const orderRecords: LoadRecords = async ({ customerId, limit }, { engine }) => {
  const found = await engine
    .view(orderProjection)
    .rows.find(`WHERE customer_id = $1 ORDER BY placed_position LIMIT ${limit + 1}`, customerId);
  const orders = found.slice(0, limit);
  return {
    lists: { orders: orders.map(shown) },
    streamIds: orders.flatMap((order) => orderProjection.streamsOf(order)),
    correlationIds: orders.map(({ correlationId }) => correlationId),
    isMore: found.length > limit,
  };
};

function shown({
  position: _,
  placedPosition: _placed,
  correlationId: _correlation,
  ownerId: _owner,
  ...order
}: OrderRow) {
  return order;
}
