import { CONNECTIONS, type Context } from '../context.ts';
import { type Address, HttpConnection } from '../harness/http.ts';
import { alternate, closedLoop, Latencies, type Measurement, measurement, sharedNow } from '../harness/measuring.ts';
import { startSimulators } from '../harness/server.ts';
import type { EngineUnderTest } from '../harness/store.ts';
import { checkOut, countOrders, filledCarts, pay, untilIdle, untilPrepared } from '../orders.ts';
import { ADD_ITEM_SUCCESS, createCarts, newUuids } from '../product.ts';
import { failureOf } from '../report.ts';
import { addToCarts, type Product, startProduct } from './target.ts';

/** Of the reference. */
const CARTS = 2_000;
/** How many carts are checked out in a turn: about as many as can be, as far as that is known. */
const FIRST_TURN = 128;
const SMALLEST_TURN = 64;
const LARGEST_TURN = 20_000;
/** At low load there are few in a turn, and a p99 needs some. */
const LONGER = 3;

const LATENCY_ROWS = [
  { name: 'checkout-placed', series: 'placed', at: 'p50', goal: { atMost: 25 } },
  { name: 'checkout-placed-p99', series: 'placed', at: 'p99', goal: { atMost: 25 } },
  { name: 'checkout-paid', series: 'paid', at: 'p50', goal: { atMost: 40 } },
  { name: 'checkout-paid-p99', series: 'paid', at: 'p99', goal: { atMost: 40 } },
] as const;
const LATENCY_NAMES: readonly string[] = LATENCY_ROWS.map(({ name }) => name);
export const CHECKOUT_ROWS: string[] = ['checkout', ...LATENCY_NAMES];

type Figures = Partial<Record<string, Measurement>>;

/** Carts that become paid orders, against plain commands: on a server whose payment provider and carrier run apart. */
export async function checkoutRows(context: Context, engine: EngineUnderTest): Promise<void> {
  const simulators = await startSimulators();
  try {
    const product = await startProduct(engine, simulators.environment);
    try {
      if (context.wants('checkout')) await throughput(context, product);
      if (context.wants(...LATENCY_NAMES)) await latencies(context, product);
    } finally {
      await product.stop();
    }
  } finally {
    await simulators.stop();
  }
}

async function throughput({ report, times }: Context, product: Product): Promise<void> {
  const { address, engine } = product;
  const next = addToCarts(await createCarts(address, newUuids(CARTS)), CONNECTIONS);
  let pace: number | undefined;
  const figures: Figures = await alternate<string>(
    {
      commands: (durationMs) =>
        product.drive({ connections: CONNECTIONS, durationMs, next, success: ADD_ITEM_SUCCESS }),
      checkouts: async (durationMs) => {
        const wanted = pace === undefined ? FIRST_TURN : Math.round((pace * durationMs) / 1_000);
        const measured = await checkOutAll(address, Math.min(Math.max(wanted, SMALLEST_TURN), LARGEST_TURN));
        pace = measured.perSecond;
        return measured;
      },
    },
    times,
  );
  report.add({
    name: 'checkout',
    engine,
    unit: 'checkouts/s',
    against: 'plain commands (addItemToCart) on the same server',
    goal: { atLeast: 0.02 },
    ours: figures['checkouts']?.perSecond,
    reference: figures['commands']?.perSecond,
    failure: failureOf(figures['commands'], figures['checkouts']),
    details: figures,
  });
}

/** Checks out and pays so many carts, as many at a time as there are connections, until the last one is paid. */
async function checkOutAll(address: Address, count: number): Promise<Measurement> {
  const carts = await filledCarts(address, count);
  const before = await countOrders(address);
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => HttpConnection.open(address)));
  const taken = new Latencies();
  const samples = new Set<string>();
  let errors = 0;
  const start = sharedNow();
  await Promise.all(
    connections.map(async (connection) => {
      for (let cart = carts.pop(); cart !== undefined; cart = carts.pop()) {
        const begun = sharedNow();
        try {
          await pay(connection, await checkOut(connection, cart));
        } catch (error) {
          errors += 1;
          samples.add(String(error).slice(0, 300));
        }
        taken.record(sharedNow() - begun);
      }
    }),
  );
  const elapsed = sharedNow() - start;
  for (const connection of connections) connection.close();
  await untilIdle(address);
  const { all, lost } = await countOrders(address);
  if (all - before.all !== count || lost !== before.lost) {
    errors += 1;
    samples.add(`of ${count} carts ${all - before.all} became orders, and ${lost - before.lost} orders were cancelled`);
  }
  return measurement(taken, elapsed, errors, samples);
}

/** One order after the other, each begun when all is done about the one before. */
async function latencies({ report, times, wants }: Context, product: Product): Promise<void> {
  const { address, engine } = product;
  const next = addToCarts(await createCarts(address, newUuids(CARTS)), 1);
  const longer = { ...times, roundMs: LONGER * times.roundMs };
  const figures: Figures = await alternate<string>(
    {
      command: (durationMs) => product.drive({ connections: 1, durationMs, next, success: ADD_ITEM_SUCCESS }),
      placed: (durationMs) => oneByOne(address, 'placed', durationMs),
      paid: (durationMs) => oneByOne(address, 'paid', durationMs),
    },
    longer,
  );
  const { command } = figures;
  for (const { name, series, at, goal } of LATENCY_ROWS.filter((row) => wants(row.name))) {
    report.add({
      name,
      engine,
      unit: `ms, ${at}`,
      against: `one addItemToCart alone, ${at}`,
      goal,
      ours: figures[series]?.[at],
      reference: command?.[at],
      failure: failureOf(command, figures[series]),
      details: { command, [series]: figures[series] },
    });
  }
}

/** @param upTo which of its two steps is measured: from the check-out to PLACED, or from the payment to PAID */
async function oneByOne(address: Address, upTo: 'placed' | 'paid', durationMs: number): Promise<Measurement> {
  // Its own: the server closes one that has nothing to do while the others have their turn.
  const connection = await HttpConnection.open(address);
  const taken = new Latencies();
  const timed = async <Result>(step: typeof upTo, work: () => Promise<Result>): Promise<Result> => {
    const begun = sharedNow();
    const result = await work();
    if (step === upTo) taken.record(sharedNow() - begun);
    return result;
  };
  const order = async () => {
    const [cart = ''] = await filledCarts(address, 1);
    const orderId = await timed('placed', () => checkOut(connection, cart));
    await timed('paid', () => pay(connection, orderId));
    await untilPrepared(connection, orderId);
  };
  const start = sharedNow();
  const { errors, samples } = await closedLoop(order, { inFlight: 1, durationMs });
  connection.close();
  await untilIdle(address);
  return measurement(taken, sharedNow() - start, errors, samples);
}
