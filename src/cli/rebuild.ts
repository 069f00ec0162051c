import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { counted } from './counted.ts';
import { adviceFor, CannotAsk, endpointOptions } from './endpoint.ts';
import { Fault, GraphQLClient } from './graphql-client.ts';
import { optionProblems } from './option-problems.ts';
import { RebuildApi, type ToldRebuild } from './rebuild/rebuild-api.ts';
import { showProgress } from './replay/progress.ts';

const rebuildOptions = z.object({ ...endpointOptions, cancel: z.boolean().default(false) });

const LOOK_MS = 300;
/** The exit code of what was ended by Ctrl-C. */
const INTERRUPTED = 130;

/**
 * `cartstream rebuild`: has a projection rebuilt, shows how far it is, and prints what came of it. The server does it, and
 * goes on when this is interrupted. The exit code is 1 where the rows were not replaced.
 * @param name of the projection: `cart.carts`
 * @param given the options as they were typed
 * @throws {CannotAsk}
 */
export async function rebuild(name: string, given: unknown): Promise<void> {
  const options = rebuildOptions.safeParse(given);
  if (!options.success) throw new CannotAsk(optionProblems(options.error));
  const { url, token, cancel } = options.data;
  const api = new RebuildApi(new GraphQLClient(url, token, () => {}));
  try {
    if (cancel) await cancelRebuild(api, name);
    else await follow(api, name);
  } catch (error) {
    if (error instanceof Fault) throw new CannotAsk(adviceFor(error, url));
    throw error;
  }
}

async function cancelRebuild(api: RebuildApi, name: string): Promise<void> {
  await api.cancel(name);
  process.stdout.write(`The rebuild of ${name} is cancelled: its rows stay as they are.\n`);
}

async function follow(api: RebuildApi, name: string): Promise<void> {
  if (!(await api.begin(name))) process.stderr.write(`${name} is being rebuilt already: this is how far it is.\n`);
  const interrupted = () => {
    process.stderr.write(
      `\nThe server goes on with it. Run this again to see how far it is, or give it up with: npx cartstream rebuild ${name} --cancel\n`,
    );
    process.exit(INTERRUPTED);
  };
  process.once('SIGINT', interrupted);
  try {
    const ended = await untilEnded(api, name);
    if (ended.status === 'SWAPPED') process.stdout.write(summaryOf(name, ended));
    else throw new CannotAsk(failureOf(name, ended));
  } finally {
    process.off('SIGINT', interrupted);
  }
}

async function untilEnded(api: RebuildApi, name: string): Promise<ToldRebuild> {
  const first = await api.read(name);
  const progress = showProgress('Rebuilding', first?.total ?? 0, ['events'], true);
  try {
    for (;;) {
      const told = await api.read(name);
      if (told === undefined) throw new CannotAsk(`Nothing is known of a rebuild of ${name} any more.`);
      if (told.status !== 'RUNNING' && told.status !== 'COMPARING') return told;
      progress.reach(told.processed, { events: told.processed });
      await sleep(LOOK_MS);
    }
  } finally {
    progress.end();
  }
}

function summaryOf(
  name: string,
  { processed, startedAt, finishedAt, differences, differentKeys }: ToldRebuild,
): string {
  const seconds = (((finishedAt ?? startedAt).getTime() - startedAt.getTime()) / 1_000).toFixed(1);
  const more = (differences ?? 0) > differentKeys.length ? ', …' : '';
  const differed =
    (differences ?? 0) === 0
      ? 'all rows are as they were'
      : `${counted(differences ?? 0, 'row is not as it was', 'rows are not as they were')}: ${differentKeys.join(', ')}${more}`;
  return `${name} was rebuilt from ${counted(processed, 'event')} in ${seconds} s: ${differed}.\n`;
}

function failureOf(name: string, { status, error }: ToldRebuild): string {
  if (status === 'CANCELLED') return `The rebuild of ${name} was cancelled: its rows stay as they are.`;
  return `The rebuild of ${name} failed: ${error} The rows stay as they are. Mend the cause, or drop what cannot be handled (deadLetters), and begin it anew.`;
}
