import type { FactLoader } from '../../eventsourcing/commands/aggregate.ts';
import { customerOrderProjection } from './order-copy.ts';

/** What is decided from whether somebody can be forgotten. */
export interface CustomerFacts {
  /** Something personal was kept of them at some time. */
  readonly isKept: boolean;
  /** What is under way for them: one of it, and how much there is, as far as it was counted. Empty for nothing. */
  readonly open: readonly { readonly orderId: string; readonly number: number }[];
}

/** More than these are not counted. */
const MAX_OPEN = 100;

/** From customers' own copy of orders and payments, and from whether there is a key of theirs. */
export const customerFacts: FactLoader<CustomerFacts> = {
  async load(stores, customerIds) {
    const loaded = customerIds.map(async (customerId) => {
      const [isKept, open] = await Promise.all([
        stores.codec.knows(customerId),
        stores
          .view(customerOrderProjection)
          .rows.find(`WHERE customer_id = $1 AND is_open ORDER BY order_id LIMIT ${MAX_OPEN}`, customerId),
      ]);
      const [first] = open;
      const facts = { isKept, open: first === undefined ? [] : [{ orderId: first.orderId, number: open.length }] };
      return [customerId, facts] as const;
    });
    return new Map(await Promise.all(loaded));
  },
};
