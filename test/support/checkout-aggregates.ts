import { cartContext } from '../../src/contexts/cart/index.ts';
import { catalogContext } from '../../src/contexts/catalog/index.ts';
import { customersContext } from '../../src/contexts/customers/index.ts';
import { orderingContext } from '../../src/contexts/ordering/index.ts';
import { paymentContext } from '../../src/contexts/payment/index.ts';
import { shippingContext } from '../../src/contexts/shipping/index.ts';
import type { Aggregate } from '../../src/eventsourcing/commands/aggregate.ts';

/** All that an order touches. */
export const AGGREGATES: readonly Aggregate[] = [
  ...cartContext.aggregates,
  ...catalogContext.aggregates,
  ...orderingContext.aggregates,
  ...paymentContext.aggregates,
  ...shippingContext.aggregates,
  ...customersContext.aggregates,
];
