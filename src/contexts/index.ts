import { cartContext } from './cart/index.ts';
import { catalogContext } from './catalog/index.ts';
import type { Context } from './context.ts';
import { customersContext } from './customers/index.ts';
import { historyContext } from './history/index.ts';
import { notificationContext } from './notification/index.ts';
import { operationsContext } from './operations/index.ts';
import { orderingContext } from './ordering/index.ts';
import { paymentContext } from './payment/index.ts';
import { shippingContext } from './shipping/index.ts';

/** Every bounded context of the server; what others link to comes first. */
export const contexts: readonly Context[] = [
  catalogContext,
  customersContext,
  operationsContext,
  orderingContext,
  paymentContext,
  shippingContext,
  cartContext,
  notificationContext,
  historyContext,
];
