import { existsSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';
import type { Settings } from '../config.ts';
import { type Database, openDatabase } from '../platform/database.ts';
import { FolderInUse } from '../platform/folder-lock.ts';
import { makeCopyFolder, removeStaleCopies } from '../platform/store-copies.ts';
import { adviceFor, CannotAsk, endpointOptions } from './endpoint.ts';
import { Fault, GraphQLClient, parseAnswer } from './graphql-client.ts';
import { optionProblems } from './option-problems.ts';

/** To copy a large store takes its time, and is not to be asked for twice. */
const COPY_TIMEOUT_MS = 3_600_000;

const COPY = 'mutation CopyForBackup($folder: String!) { copyStore(folder: $folder) { pausedMs } }';
const RESUME = 'mutation Resume { resumeStore { pausedAt } }';
const copied = z.object({ copyStore: z.object({ pausedMs: z.number().nullable() }) });

const options = z.object(endpointOptions);

/**
 * Runs work over the store as it is, while servers go on with it: a PostgreSQL server is read directly, and so is an embedded
 * store that nobody has open. One that a server has open is copied by that server, and the copy is read. Nothing is migrated.
 * @param given the options as they were typed: where the server is
 * @throws {CannotAsk}
 */
export async function withStoreToRead(
  settings: Settings,
  given: unknown,
  work: (database: Database) => Promise<void>,
): Promise<void> {
  const { DATABASE_URL: url, DATA_DIR: folder } = settings;
  if (url === undefined) expectStore(folder);
  try {
    await over(
      await openDatabase(url === undefined ? { engine: 'pglite', folder } : { engine: 'postgresql', url }),
      work,
    );
  } catch (error) {
    if (!(error instanceof FolderInUse)) throw error;
    await overCopy(folder, given, error, work);
  }
}

/** What is queued may run again: directly, or by way of the server that has the store open. */
export async function resumeThrough(given: unknown): Promise<void> {
  await ask(given, undefined, (client) => client.sendOnce(RESUME));
}

/** @throws {CannotAsk} */
export function expectStore(folder: string): void {
  if (existsSync(join(folder, 'pglite'))) return;
  throw new CannotAsk(`There is no store in ${folder}: set DATA_DIR or DATABASE_URL to the one that you mean.`);
}

async function over(database: Database, work: (database: Database) => Promise<void>): Promise<void> {
  try {
    await work(database);
  } finally {
    await database.close();
  }
}

async function overCopy(
  folder: string,
  given: unknown,
  inUse: FolderInUse,
  work: (database: Database) => Promise<void>,
): Promise<void> {
  removeStaleCopies(folder);
  const copy = makeCopyFolder(folder);
  process.once('exit', copy.remove);
  try {
    const { copyStore } = await ask(given, inUse, async (client) =>
      parseAnswer(copied, await client.sendOnce(COPY, { folder: copy.name })),
    );
    if (copyStore.pausedMs === null) {
      throw new CannotAsk('The server that answered there has another store: name that of this DATA_DIR with --url.');
    }
    process.stderr.write(`The server copied its store for this: statements waited for ${copyStore.pausedMs} ms.\n`);
    copy.unlock();
    await over(await openDatabase({ engine: 'pglite', folder: copy.path }), work);
  } finally {
    copy.remove();
    process.off('exit', copy.remove);
  }
}

async function ask<Answer>(
  given: unknown,
  inUse: FolderInUse | undefined,
  send: (client: GraphQLClient) => Promise<Answer>,
): Promise<Answer> {
  const parsed = options.safeParse(given);
  if (!parsed.success) throw new CannotAsk(optionProblems(parsed.error));
  const { url, token } = parsed.data;
  try {
    return await send(new GraphQLClient(url, token, () => {}, COPY_TIMEOUT_MS));
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    if (error.code === 'FORBIDDEN') {
      throw new CannotAsk(
        `${url} says that this is for admins: name a token with --token. (npx cartstream token --role admin makes one.)`,
      );
    }
    if (error.code === 'BAD_USER_INPUT' || error.code === 'INTERNAL_SERVER_ERROR')
      throw new CannotAsk(`${url} could not do it: ${error.message}`);
    if (inUse === undefined) throw new CannotAsk(adviceFor(error, url));
    throw new CannotAsk(
      `A process has this store open, and has to be asked, but nobody answers at ${url} (${error.code}): name its address with --url, or stop it.`,
    );
  }
}
