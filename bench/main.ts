import process from 'node:process';
import { Command } from 'commander';
import { type Context, FULL, QUICK } from './context.ts';
import { dropAll, findPostgres, postgresUrl } from './harness/postgres.ts';
import { type EngineUnderTest, pgliteEngine, postgresEngine } from './harness/store.ts';
import { progress, Report } from './report.ts';
import { aloneRow, liveRow } from './rows/alone.ts';
import { appendRow } from './rows/append.ts';
import { CHECKOUT_ROWS, checkoutRows } from './rows/checkout.ts';
import { encryptionRow } from './rows/encryption.ts';
import { fanOutRows } from './rows/fan-out.ts';
import { addItemRows, cartQueryRow } from './rows/http.ts';
import { logSizeRows } from './rows/log-size.ts';
import { longStreamRow } from './rows/long-stream.ts';
import { rebuildRow } from './rows/rebuild.ts';
import { sealedAppendRow } from './rows/sealed-append.ts';
import { type Product, startProduct } from './rows/target.ts';
import { processLatencyRow, WORK_ROWS, workRows } from './rows/work.ts';

/** Rows of the engine alone, by the function that measures them. */
const ENGINE_ROWS = [
  { names: ['append'], measure: appendRow },
  { names: ['encryption'], measure: encryptionRow },
  { names: ['sealed-append'], measure: sealedAppendRow },
  { names: WORK_ROWS, measure: workRows },
  { names: ['process-latency'], measure: processLatencyRow },
  { names: ['long-stream'], measure: longStreamRow },
  { names: ['rebuild'], measure: rebuildRow },
];

/** Rows that need a server, by the function that measures them. */
const SERVER_ROWS = [
  { names: ['add-item', 'add-item-p99', 'hot-cart'], measure: addItemRows },
  { names: ['cart-query'], measure: cartQueryRow },
  { names: ['alone'], measure: aloneRow },
  { names: ['live'], measure: liveRow },
  { names: ['fan-out', 'fan-out-delivered'], measure: fanOutRows },
];
const LOG_SIZE_ROWS = ['log-size-command', 'log-size-query'];
const NAMES = [...[...ENGINE_ROWS, ...SERVER_ROWS].flatMap((row) => row.names), ...CHECKOUT_ROWS, ...LOG_SIZE_ROWS];

const options = new Command('npm run bench --')
  .description('Measures cartstream against references in the same run.')
  .option('--only <name...>', `only these rows: ${NAMES.join(', ')}`)
  .option('--engine <engine...>', 'only on these engines: pglite, postgresql')
  .option('--quick', 'shorter, to see whether it runs: the figures mean little')
  .addHelpText('after', '\nBENCH_DATABASE_URL: the PostgreSQL server to make databases on.')
  .parse()
  .opts<{ only?: string[]; engine?: string[]; quick?: true }>();

async function run(): Promise<void> {
  const begun = Date.now();
  const report = new Report();
  for (const name of options.only ?? []) {
    if (!NAMES.includes(name)) throw new Error(`There is no row ${name}: ${NAMES.join(', ')}`);
  }
  const context: Context = {
    engines: await findEngines(report),
    report,
    times: options.quick ? QUICK : FULL,
    wants: (...names) => options.only === undefined || names.some((name) => options.only?.includes(name)),
  };
  for (const engine of context.engines) await measure(context, engine);
  report.print();
  const seconds = Math.round((Date.now() - begun) / 1000);
  const path = report.write({ at: new Date(begun).toISOString(), seconds, quick: options.quick === true });
  console.log(`\nTook ${seconds} s. Written to ${path}`);
  if (report.hasFailed) process.exitCode = 1;
}

async function findEngines(report: Report): Promise<EngineUnderTest[]> {
  const wanted = (name: string) => options.engine === undefined || options.engine.includes(name);
  const engines = wanted('pglite') ? [pgliteEngine()] : [];
  if (!wanted('postgresql')) return engines;
  const url = postgresUrl();
  const server = await findPostgres(url);
  if (server !== undefined) return [...engines, postgresEngine(server)];
  report.note(
    `Rows on postgresql are skipped: no server answers at ${new URL(url).host}; set BENCH_DATABASE_URL to one`,
  );
  return engines;
}

async function measure(context: Context, engine: EngineUnderTest): Promise<void> {
  progress(engine.name);
  const guarded = (names: string[], work: () => Promise<void>) => guard(context, engine, names, work);
  for (const { names, measure: measureRows } of ENGINE_ROWS) {
    const wanted = names.filter((name) => context.wants(name));
    if (wanted.length > 0) await guarded(wanted, () => measureRows(context, engine));
  }
  const rows = SERVER_ROWS.filter(({ names }) => context.wants(...names));
  if (rows.length > 0) {
    const product = await tryStart(context, engine);
    for (const row of rows) await guarded(row.names, () => row.measure(context, engine, product));
    await product?.stop();
  }
  const checkouts = CHECKOUT_ROWS.filter((name) => context.wants(name));
  if (checkouts.length > 0) await guarded(checkouts, () => checkoutRows(context, engine));
  if (context.wants(...LOG_SIZE_ROWS)) await guarded(LOG_SIZE_ROWS, () => logSizeRows(context, engine));
}

/** Without a server the references are still measured. */
async function tryStart({ report }: Context, engine: EngineUnderTest): Promise<Product | undefined> {
  try {
    return await startProduct(engine);
  } catch (error) {
    report.note(`The server does not run on ${engine.name}: ${error instanceof Error ? error.message : error}`);
    return undefined;
  }
}

/** One row that fails does not take the others with it. */
async function guard(context: Context, engine: EngineUnderTest, names: string[], work: () => Promise<void>) {
  try {
    await work();
  } catch (error) {
    context.report.fail(engine, names, error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
}

async function stopEarly(): Promise<void> {
  await dropAll();
  process.exit(130);
}
process.on('SIGINT', stopEarly);
process.on('SIGTERM', stopEarly);

try {
  await run();
} finally {
  await dropAll();
}
