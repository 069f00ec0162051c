import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { LoadRecords } from '../shared-types.ts';
import { type CartRow, cartDiscounts, cartProjection, totalOf } from './projection.ts';

/** The carts of somebody, and those that they used. */
export const cartRecords: LoadRecords = async ({ customerId, cartIds, limit }, { engine }) => {
  const { rows } = engine.view(cartProjection);
  const own = await rows.find(`WHERE customer_id = $1 ORDER BY id LIMIT ${limit + 1}`, customerId);
  const known = new Set(own.map(({ id }) => id));
  const others = cartIds.filter((id) => !known.has(id));
  const used = await rows.load(others.slice(0, limit));
  // What became another customer's since is theirs to ask for.
  const carts = [...own, ...[...used.values()].filter((it) => it.customerId === null || it.customerId === customerId)];
  return {
    lists: { carts: carts.slice(0, limit).map(shown) },
    streamIds: carts.slice(0, limit).map(({ id }) => streamIdOf('cart', id)),
    isMore: [carts, others].some(({ length }) => length > limit),
  };
};

function shown(cart: CartRow) {
  const { id, status, currency, lines, orderId, version, createdAt, updatedAt } = cart;
  const sums = { discounts: cartDiscounts(cart), total: totalOf(cart) };
  return { id, status, currency, lines, ...sums, orderId, version, createdAt, updatedAt };
}
