import { stat } from 'node:fs/promises';
import process from 'node:process';
import { z } from 'zod';
import { currency } from '../contexts/values.ts';
import { adviceFor, endpointOptions } from './endpoint.ts';
import { Fault, GraphQLClient } from './graphql-client.ts';
import { optionProblems } from './option-problems.ts';
import { CannotReplay } from './replay/cannot-replay.ts';
import { CartApi } from './replay/cart-api.ts';
import { Check } from './replay/check.ts';
import { CheckOut } from './replay/check-out.ts';
import { inParallel } from './replay/in-parallel.ts';
import { readInvoices } from './replay/invoices.ts';
import { type FilledCart, Load } from './replay/load.ts';
import { OrderApi } from './replay/order-api.ts';
import { Patience } from './replay/patience.ts';
import { showProgress } from './replay/progress.ts';
import { type Phase, type ReplayReport, reportOf } from './replay/report.ts';
import { summaryOf } from './replay/summary.ts';
import { Tally } from './replay/tally.ts';

const PARALLEL = 'must be a whole number from 1 to 256';
const MIN_PATIENCE = 3;

const replayOptions = z.object({
  ...endpointOptions,
  parallel: z.coerce.number(PARALLEL).int(PARALLEL).min(1, PARALLEL).max(256, PARALLEL),
  currency,
  checkout: z.boolean().default(false),
  json: z.boolean().default(false),
});
type ReplayOptions = z.output<typeof replayOptions>;

/**
 * `cartstream replay`: sends the invoices of a CSV file through the GraphQL API as carts, reads them back, makes paid
 * orders of them where that is wanted, and prints a summary. The exit code is 1 where anything is not as it must be.
 * @param given the options as they were typed
 */
export async function replay(file: string, given: unknown): Promise<void> {
  try {
    const options = optionsOf(given);
    const report = await run(file, options);
    process.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : summaryOf(report));
    if (!report.ok) process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof CannotReplay)) throw error;
    process.stderr.write(`${error.message}\n`);
    process.exitCode = 1;
  }
}

function optionsOf(given: unknown): ReplayOptions {
  const parsed = replayOptions.safeParse(given);
  if (parsed.success) return parsed.data;
  throw new CannotReplay(optionProblems(parsed.error));
}

async function run(file: string, options: ReplayOptions): Promise<ReplayReport> {
  const size = await sizeOf(file);
  const tally = new Tally();
  const client = new GraphQLClient(options.url, options.token, () => {
    tally.resent += 1;
  });
  await expectAnswer(client, options.url);
  const api = new CartApi(client);
  const load = await fillCarts(file, size, api, tally, options);
  const filled = load.work;
  const check = await checkCarts(filled, api, tally, options);
  const orders = options.checkout ? await checkOutCarts(filled, new OrderApi(client), tally, options) : undefined;
  return reportOf(tally, load, check, orders);
}

/** What is kept of every cart until it is read back is its id and a short text: some 15 bytes for each of its lines. */
async function fillCarts(
  file: string,
  size: number,
  api: CartApi,
  tally: Tally,
  options: ReplayOptions,
): Promise<Phase<readonly FilledCart[]>> {
  const begun = performance.now();
  const patience = patienceFor(options);
  const load = new Load(api, tally, options.currency, patience);
  const progress = showProgress('Filling', size, ['carts', 'lines'], !options.json);
  const filled: FilledCart[] = [];
  let reached = 0;
  try {
    const fill = async (invoice: Parameters<typeof load.fill>[0]) => {
      const cart = await load.fill(invoice);
      if (cart !== undefined) filled.push(cart);
      reached = Math.max(reached, invoice.endsAt);
      progress.reach(reached, { carts: tally.carts, lines: tally.lines.added });
    };
    await inParallel(readInvoices(file, tally), options.parallel, fill, () => !patience.isOver);
  } finally {
    progress.end();
  }
  return { work: filled, seconds: secondsSince(begun), givenUp: patience.isOver };
}

async function checkCarts(filled: readonly FilledCart[], api: CartApi, tally: Tally, options: ReplayOptions) {
  const patience = patienceFor(options);
  const check = new Check(api, tally, patience);
  const progress = showProgress('Checking', filled.length, ['carts', 'lines'], !options.json);
  try {
    const read = async (cart: FilledCart) => {
      await check.read(cart);
      progress.reach(check.carts, { carts: check.carts, lines: tally.lines.added });
    };
    await inParallel(filled, options.parallel, read, () => !patience.isOver);
  } finally {
    progress.end();
  }
  return check;
}

async function checkOutCarts(
  filled: readonly FilledCart[],
  api: OrderApi,
  tally: Tally,
  options: ReplayOptions,
): Promise<Phase<CheckOut>> {
  const begun = performance.now();
  const patience = patienceFor(options);
  const checkOut = new CheckOut(api, tally, patience);
  const progress = showProgress('Checking out', filled.length, ['orders', 'paid', 'per second'], !options.json);
  try {
    const order = async (cart: FilledCart) => {
      await checkOut.order(cart);
      const { paid } = checkOut.outcomes;
      const perSecond = Number((paid / secondsSince(begun)).toFixed(1));
      progress.reach(checkOut.carts, { orders: checkOut.placed, paid, 'per second': perSecond });
    };
    await inParallel(filled, options.parallel, order, () => !patience.isOver);
  } finally {
    progress.end();
  }
  return { work: checkOut, seconds: secondsSince(begun), givenUp: patience.isOver };
}

function secondsSince(begun: number): number {
  return (performance.now() - begun) / 1_000;
}

/** All that is in flight failed for good, and nothing was answered meanwhile: nobody is there any more. */
function patienceFor({ parallel }: ReplayOptions): Patience {
  return new Patience(Math.max(parallel, MIN_PATIENCE));
}

async function sizeOf(file: string): Promise<number> {
  const found = await stat(file).catch((error: NodeJS.ErrnoException) => {
    throw new CannotReplay(
      error.code === 'ENOENT'
        ? `There is no file ${file}: name a CSV file of invoice lines, like seed/online-retail-1000.csv.`
        : `${file} could not be read: ${error.message}.`,
    );
  });
  if (found.isDirectory()) throw new CannotReplay(`${file} is a folder: name a CSV file of invoice lines in it.`);
  return found.size;
}

/** @throws {CannotReplay} nobody is there, or not who was expected */
async function expectAnswer(client: GraphQLClient, url: string): Promise<void> {
  try {
    await client.sendOnce('{ __typename }');
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    throw new CannotReplay(adviceFor(error, url));
  }
}
