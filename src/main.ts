import { existsSync, readFileSync } from 'node:fs';
import process from 'node:process';
import { Command, Option } from 'commander';
import { z } from 'zod';
import { problemOf } from './cli/problems.ts';
import { packageFile } from './platform/package-root.ts';
import { ROLES } from './server/authentication.ts';

/** The command line. What a command needs is loaded when it runs, so that `--help` is quick. */

const { version } = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(packageFile('package.json'), 'utf8')));

const program = new Command('cartstream')
  .description('An event-sourced commerce backend, spoken to in GraphQL, live on every screen.')
  .version(version)
  .showHelpAfterError('(add --help for what there is)')
  .allowExcessArguments(false)
  .helpCommand(false)
  .addHelpText('after', '\nSettings are environment variables, or lines of a file .env: see .env.example.');

program
  .command('serve')
  .description('Run the server: migrates the store, and fills an empty one with the demo catalog.')
  .option('--no-seed', 'leave an empty store empty')
  .action(async (options: { seed: boolean }) => (await import('./cli/serve.ts')).serve(options));

program
  .command('worker')
  .description('Do the work of servers without the API: projections, processes, queued commands. Needs DATABASE_URL.')
  .action(async () => (await import('./cli/worker.ts')).work());

program
  .command('simulate')
  .description('Run the simulated payment provider and carrier apart from the server.')
  .option('--late-after <seconds>', 'when tok_late takes the money', '1200')
  .option('--prepared <seconds>', 'how long a shipment is prepared before it is on its way', '4')
  .option('--in-transit <seconds>', 'how long it is on its way before it is delivered', '6')
  .option('--no-move', 'leave shipments where they are')
  .action(async (options: unknown) => (await import('./cli/simulate.ts')).simulate(options));

program
  .command('migrate')
  .description("Bring the store's tables to this version, and stop.")
  .action(async () => (await import('./cli/migrate.ts')).migrateStore());

program
  .command('seed')
  .description('Add the demo catalog: products that are there already are left alone.')
  .action(async () => (await import('./cli/seed.ts')).seedStore());

program
  .command('token')
  .description('Print a token that proves to this server who somebody is. Needs JWT_SECRET.')
  .addOption(new Option('--role <role>', 'what they may do').choices([...ROLES]).makeOptionMandatory())
  .option('--subject <id>', 'who they are', 'somebody')
  .option('--expires-in <seconds>', 'how long it holds, in seconds', '3600')
  .action(async (options: { role: string; subject: string; expiresIn: string }) =>
    (await import('./cli/token.ts')).printToken(options),
  );

const keys = program.command('keys').description('Change the keys that protect personal data.');
keys
  .command('rotate-master')
  .description('Protect every key with a new master key: MASTER_KEY, beside MASTER_KEY_PREVIOUS; or one that it makes.')
  .action(async () => (await import('./cli/keys.ts')).rotateMaster());
keys
  .command('rotate-subject')
  .description('Give a customer or guest a new key, for what is written from now on.')
  .argument('[id]', 'their raw id, like a token names it; of a guest guest:<id>, or the id of their cart')
  .option('--all', 'everybody of whom there is anything')
  .action(async (id: string | undefined, options: { all?: boolean }) =>
    (await import('./cli/keys.ts')).rotateSubject(id, options),
  );

program
  .command('replay')
  .description('Send the invoices of a CSV file through the GraphQL API, each as a cart.')
  .argument(
    '<file>',
    'invoice lines with the columns InvoiceNo, StockCode and Quantity, like seed/online-retail-1000.csv',
  )
  .addOption(endpoint())
  .option('--token <token>', 'sent as the bearer token')
  .option('--parallel <carts>', 'how many carts are filled at a time, 1 to 256', '8')
  .option('--currency <code>', 'the currency of the carts', 'GBP')
  .option('--checkout', 'check each cart out and pay it: addresses are made up, the payment token is tok_ok')
  .option('--json', 'print the summary as JSON, without a progress bar')
  .action(async (file: string, options: unknown) => (await import('./cli/replay.ts')).replay(file, options));

program
  .command('trace')
  .description('Print where an event or command came from, and all that followed from that, as a tree.')
  .argument('<id>', 'the eventId of an event, or the commandId of a command: receipts have it')
  .addOption(endpoint())
  .option('--token <token>', 'sent as the bearer token; it must be that of staff')
  .option('--long-ids', 'print ids in full')
  .action(async (id: string, options: unknown) => (await import('./cli/trace.ts')).trace(id, options));

program
  .command('rebuild')
  .description('Fold the rows of a projection anew, from the whole log, while the server goes on.')
  .argument('<name>', 'the projection: cart.carts, say')
  .addOption(endpoint())
  .option('--token <token>', 'sent as the bearer token; it must be that of staff')
  .option('--cancel', 'give up the rebuild that is under way')
  .action(async (name: string, options: unknown) => (await import('./cli/rebuild.ts')).rebuild(name, options));

program
  .command('backup')
  .description('Write all that the store holds to a file, while servers go on. The master key is not in there.')
  .argument('<file>', 'what is to be written, with gzip; - for standard output')
  .addOption(endpoint())
  .option('--token <token>', 'sent as the bearer token; it must be that of an admin')
  .action(async (file: string, options: unknown) => (await import('./cli/backup.ts')).backup(file, options));

program
  .command('restore')
  .description('Fill an empty store, of either engine, with a backup. It is paused then: see resume.')
  .argument('<file>', 'what npx cartstream backup wrote')
  .option('--forgotten <list>', 'who was forgotten since, and stays so (default: FORGOTTEN_FILE, if it is there)')
  .option('--until <point>', 'leave out what came after this position, or instant (2026-11-23T10:00:00Z)')
  .action(async (file: string, options: unknown) => (await import('./cli/restore.ts')).restore(file, options));

program
  .command('export')
  .description('Write the log, as it is stored, to a file of JSON lines. What is personal in it is encrypted.')
  .argument('<file>', 'what is to be written, with gzip if it ends with .gz; - for standard output')
  .option('--with-keys', 'and the keys that it is encrypted with: each is wrapped with the master key')
  .addOption(endpoint())
  .option('--token <token>', 'sent as the bearer token; it must be that of an admin')
  .action(async (file: string, options: unknown) => (await import('./cli/export.ts')).exportStore(file, options));

program
  .command('import')
  .description(
    'Fill an empty store with a log. Without its keys, what is personal reads as forgotten. It is paused then.',
  )
  .argument('<file>', 'what npx cartstream export wrote')
  .option('--forgotten <list>', 'who was forgotten since, and stays so (default: FORGOTTEN_FILE, if it is there)')
  .action(async (file: string, options: unknown) => (await import('./cli/import.ts')).importStore(file, options));

program
  .command('resume')
  .description('Let what is queued run again, after a restore.')
  .addOption(endpoint())
  .option('--token <token>', 'sent as the bearer token; it must be that of an admin')
  .action(async (options: unknown) => (await import('./cli/resume.ts')).resume(options));

program
  .command('forgotten')
  .description('Print who was forgotten, a line each: keep it elsewhere, for when a backup of before is restored.')
  .addOption(endpoint())
  .option('--token <token>', 'sent as the bearer token; it must be that of an admin')
  .action(async (options: unknown) => (await import('./cli/forgotten.ts')).printForgotten(options));

program
  .command('verify')
  .description('Walk the whole log, and find what was changed, taken away or put in since it was sealed.')
  .option('--checkpoint <token>', 'prove that the log still holds a checkpoint that was kept elsewhere')
  .option('--accept', 'the store was restored or exchanged by you: have this machine go on from it')
  .addOption(endpoint())
  .option('--token <token>', 'of an admin, where a server has the embedded store open')
  .action(async (options: unknown) => (await import('./cli/verify.ts')).verify(options));

program
  .command('archive')
  .description('Move what ended long ago out of the tables that are worked on: it can still be read, and goes on.')
  .option('--older-than <time>', 'what ended so long ago: 90d, 12h or 30m (default: ARCHIVE_AFTER_DAYS, 90 days)')
  .option('--pause <ms>', 'how long others are left alone between two batches', '50')
  .option('--url <url>', 'have the server do it whose GraphQL endpoint this is, not this process')
  .option('--token <token>', 'sent as the bearer token; it must be that of an admin')
  .action(async (options: unknown) => (await import('./cli/archive.ts')).archive(options));

program
  .command('schema')
  .description('Print the GraphQL schema, sorted.')
  .action(async () => (await import('./cli/schema.ts')).printSchemaSorted());

program
  .command('help')
  .description('Print the help of a command.')
  .argument('[command...]')
  .action((names: readonly string[]) => {
    let command = program;
    for (const name of names) {
      const found = command.commands.find((it) => it.name() === name);
      if (found === undefined) return command.error(`error: unknown command '${name}'`);
      command = found;
    }
    return command.help();
  });

if (existsSync('.env')) process.loadEnvFile('.env');

/** Where the API is, for commands that go through it: src/cli/endpoint.ts makes the default, when .env has been read. */
function endpoint(): Option {
  return new Option(
    '--url <url>',
    'the GraphQL endpoint (default: that of the server that has the store of DATA_DIR open, or else of PORT and HOST)',
  );
}

try {
  await program.parseAsync();
} catch (error) {
  const problem = problemOf(error);
  if (problem === undefined) throw error;
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}
