import { cartContext } from './cart/index.ts';
import { catalogContext } from './catalog/index.ts';
import type { Context } from './context.ts';

/** Every bounded context of the server. */
export const contexts: readonly Context[] = [catalogContext, cartContext];
