import type { Aggregate } from '../../eventsourcing/commands/aggregate.ts';
import type { Context } from '../context.ts';
import {
  addProduct,
  changeProductPrice,
  deactivateProduct,
  type ProductCommand,
  type StockCommand,
  stockCommands,
} from './commands.ts';
import { type ProductEvent, productEvents, type StockEvent, stockEvents } from './events.ts';
import { type ProductState, productDecider } from './product-decider.ts';
import { productProjection } from './projection.ts';
import { declareCatalogSchema } from './schema.ts';
import { productSnapshots, stockSnapshots } from './snapshots.ts';
import { stockDecider } from './stock-decider.ts';
import type { StockState } from './stock-state.ts';

const product: Aggregate<ProductState, ProductCommand, ProductEvent, never> = {
  type: 'product',
  decider: productDecider,
  commands: [addProduct, changeProductPrice, deactivateProduct],
  events: productEvents,
  snapshots: productSnapshots,
};

const stock: Aggregate<StockState, StockCommand, StockEvent, never> = {
  type: 'stock',
  decider: stockDecider,
  commands: stockCommands,
  events: stockEvents,
  snapshots: stockSnapshots,
  // The expiries are there to be found quickly; they are in the orders, too.
  stateToCompare: (state) => (state.status === 'unknown' ? state : { ...state, expiries: undefined }),
};

export const catalogContext: Context = {
  name: 'catalog',
  aggregates: [product, stock],
  projections: [productProjection],
  declareSchema: declareCatalogSchema,
};
