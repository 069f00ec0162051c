import type { Aggregate } from '../../eventsourcing/aggregate.ts';
import type { Context } from '../context.ts';
import {
  addProduct,
  adjustStock,
  changeProductPrice,
  deactivateProduct,
  openStock,
  type ProductCommand,
  type StockCommand,
} from './commands.ts';
import { type ProductEvent, productEvents, type StockEvent, stockEvents } from './events.ts';
import { type ProductState, productDecider } from './product-decider.ts';
import { productProjection } from './projection.ts';
import { declareCatalogSchema } from './schema.ts';
import { type StockState, stockDecider } from './stock-decider.ts';

const product: Aggregate<ProductState, ProductCommand, ProductEvent, never> = {
  type: 'product',
  decider: productDecider,
  commands: [addProduct, changeProductPrice, deactivateProduct],
  events: productEvents,
};

const stock: Aggregate<StockState, StockCommand, StockEvent, never> = {
  type: 'stock',
  decider: stockDecider,
  commands: [openStock, adjustStock],
  events: stockEvents,
};

export const catalogContext: Context = {
  name: 'catalog',
  aggregates: [product, stock],
  projections: [productProjection],
  declareSchema: declareCatalogSchema,
};
