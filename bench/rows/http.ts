import { CONNECTIONS, type Context } from '../context.ts';
import { drive } from '../harness/http.ts';
import { alternate, type Measurement } from '../harness/measuring.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import {
  ADD_ITEM_SUCCESS,
  addItem,
  addItems,
  CART_QUERY_SUCCESS,
  cartQuery,
  createCarts,
  newUuids,
} from '../product.ts';
import { failureOf } from '../report.ts';
import { addToCarts, type BareServer, newCart, type Product, skuForTurn, startBare } from './target.ts';

const CARTS = 2000;
const QUERIED_CARTS = 500;
const LINES_QUERIED = 2;

const NOOP = JSON.stringify({ query: 'mutation Noop { noop { ok version } }' });
const NOOP_SUCCESS = Buffer.from('"ok":true');

type Series = (durationMs: number) => Promise<Measurement>;
type Figures = Partial<Record<string, Measurement>>;
const NONE: Record<string, Series> = {};

/** @param product nothing where it does not start: then only the references are measured */
export async function addItemRows(context: Context, engine: EngineUnderTest, product: Product | undefined) {
  const bare = await startBare();
  try {
    const series = { noop: bareSeries(bare, NOOP, NOOP_SUCCESS), ...(product ? await addSeries(product) : NONE) };
    addItemReport(context, engine, await alternate<string>(series, context.times));
  } finally {
    await bare.stop();
  }
}

function addItemReport({ report }: Context, engine: EngineUnderTest, figures: Figures): void {
  const { noop, distinct, hot } = figures;
  const common = { engine, failure: notRunning(distinct) ?? failureOf(noop, distinct), details: figures };
  report.add({
    ...common,
    name: 'add-item',
    unit: 'requests/s',
    against: 'a no-op mutation of bare Yoga and Pothos',
    goal: { atLeast: engine.name === 'postgresql' ? 1 : 0.8 },
    ours: distinct?.perSecond,
    reference: noop?.perSecond,
  });
  report.add({
    ...common,
    name: 'add-item-p99',
    unit: 'ms',
    against: 'a no-op mutation of bare Yoga and Pothos',
    goal: { atMost: 2 },
    ours: distinct?.p99,
    reference: noop?.p99,
  });
  report.add({
    ...common,
    name: 'hot-cart',
    unit: 'requests/s',
    against: 'our own rate with distinct carts',
    goal: { atLeast: 0.8 },
    ours: hot?.perSecond,
    reference: distinct?.perSecond,
    failure: common.failure ?? failureOf(hot),
  });
}

async function addSeries(product: Product): Promise<Record<string, Series>> {
  const load = { connections: CONNECTIONS, success: ADD_ITEM_SUCCESS };
  const carts = await createCarts(product.address, newUuids(CARTS));
  const toDistinct = addToCarts(carts, CONNECTIONS);
  return {
    distinct: (durationMs) => product.drive({ ...load, durationMs, next: toDistinct }),
    hot: async (durationMs) => {
      const cart = await newCart(product.address);
      let turn = 0;
      const next = () => {
        turn += 1;
        return addItem(cart, skuForTurn(0, turn));
      };
      return product.drive({ ...load, durationMs, next });
    },
  };
}

/** The cart by its id, as a shop's page asks for it. */
export async function cartQueryRow(context: Context, engine: EngineUnderTest, product: Product | undefined) {
  const bare = await startBare();
  try {
    const series = {
      bare: bareSeries(bare, cartQuery('small'), CART_QUERY_SUCCESS),
      ...(product ? await querySeries(product) : NONE),
    };
    const figures: Figures = await alternate<string>(series, context.times);
    context.report.add({
      name: 'cart-query',
      engine,
      unit: 'requests/s',
      against: 'the same query of bare Yoga and Pothos, from memory',
      goal: { atLeast: 2 },
      ours: figures['ours']?.perSecond,
      reference: figures['bare']?.perSecond,
      failure: notRunning(figures['ours']) ?? failureOf(figures['bare'], figures['ours']),
      details: figures,
    });
  } finally {
    await bare.stop();
  }
}

async function querySeries({ address, drive: driveProduct }: Product): Promise<Record<string, Series>> {
  const carts = await createCarts(address, newUuids(QUERIED_CARTS));
  for (let line = 0; line < LINES_QUERIED; line += 1) {
    await addItems(
      address,
      carts.map((cartId, index) => ({ cartId, sku: skuForTurn(index, line) })),
    );
  }
  let turn = 0;
  const next = () => {
    turn += 1;
    return cartQuery(carts[turn % carts.length] ?? '');
  };
  return {
    ours: (durationMs) => driveProduct({ connections: CONNECTIONS, durationMs, next, success: CART_QUERY_SUCCESS }),
  };
}

function bareSeries({ address }: BareServer, body: string, success: Buffer): Series {
  return (durationMs) => drive(address, { connections: CONNECTIONS, durationMs, next: () => body, success });
}

function notRunning(measured: Measurement | undefined): string | undefined {
  return measured === undefined ? 'the server does not run' : undefined;
}
