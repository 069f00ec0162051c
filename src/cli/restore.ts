import process from 'node:process';
import { z } from 'zod';
import { InvalidSettings, readSettings, type Settings } from '../config.ts';
import { contexts } from '../contexts/index.ts';
import { BackupReader } from '../eventsourcing/backup/backup-format.ts';
import { readForgotten } from '../eventsourcing/backup/forgotten-list.ts';
import { BadFile } from '../eventsourcing/backup/line-file.ts';
import { restoreBackup } from '../eventsourcing/backup/restore.ts';
import type { Queries } from '../eventsourcing/backup/stored-tables.ts';
import { KeyRing } from '../eventsourcing/keys/key-ring.ts';
import { StorageCodec } from '../eventsourcing/log/codec.ts';
import { ReadRows } from '../eventsourcing/projections/read-table.ts';
import { openDatabase } from '../platform/database.ts';
import { createLogger, type Logger } from '../platform/logger.ts';
import { loadMasterKeys } from '../platform/master-key.ts';
import { counted } from './counted.ts';
import { forgottenPath } from './forgotten.ts';
import { optionProblems } from './option-problems.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { letGoOfCheckpoint } from './verify/let-go.ts';

const POSITION = /^(?:[0-9a-f]+\.)?(\d{1,15})$/;

const restoreOptions = z.object({
  forgotten: z.string().min(1).optional(),
  until: z
    .string()
    .transform((text, context) => {
      const [, position] = POSITION.exec(text) ?? [];
      if (position !== undefined) return { position: Number(position) };
      const at = new Date(text);
      if (/^\d{4}-\d\d-\d\dT.*(Z|[+-]\d\d:?\d\d)$/.test(text) && !Number.isNaN(at.getTime())) return { at };
      context.addIssue('must be a position, or an instant like 2026-11-23T10:00:00Z');
      return z.NEVER;
    })
    .optional(),
});

/**
 * `cartstream restore`: fills an empty store with what a backup holds. It is paused then, until `cartstream resume`.
 * @param given the options as they were typed
 */
export async function restore(path: string, given: unknown): Promise<void> {
  const options = restoreOptions.safeParse(given);
  if (!options.success) throw new InvalidSettings(optionProblems(options.error));
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  // Before a folder is made for what cannot be restored.
  await (await BackupReader.open(path)).close();
  const list = forgottenFor(options.data.forgotten, settings);
  const { DATABASE_URL: url, DATA_DIR: folder } = settings;
  const database = await openDatabase(url === undefined ? { engine: 'pglite', folder } : { engine: 'postgresql', url });
  const bars = new Map<string, Progress>();
  const begun = performance.now();
  try {
    const restored = await restoreBackup({
      database,
      path,
      forgotten: list?.forgotten ?? [],
      until: options.data.until,
      prepare: async (client) => void (await codecOver(client, settings, logger)),
      purge: async (client, subjects) => purge(client, await codecOver(client, settings, logger), subjects),
      onProgress(step, { done, total }) {
        const bar = bars.get(step) ?? showProgress(step === 'checking' ? 'Checking' : 'Restoring', total, [], true);
        bars.set(step, bar);
        bar.reach(done, {});
        if (done >= total) bar.end();
      },
    });
    for (const bar of bars.values()) bar.end();
    const { header, position, epoch, forgottenAgain } = restored;
    const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
    const lines = [
      `The store is as it was at position ${position}, from a backup of ${header.createdAt}, in ${seconds} s.`,
      `Positions begin with ${epoch} now: clients start their live views anew.`,
      list === undefined ? NO_LIST : saidOf(list, forgottenAgain),
      ...(restored.wentBack?.said ?? []),
      ...(await letGoOfCheckpoint(settings)),
      'What is queued waits, and nothing is sent or charged, until you have looked at it: npx cartstream resume.',
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  } finally {
    for (const bar of bars.values()) bar.end();
    await database.close();
  }
  process.exit();
}

const NO_LIST =
  'There is no list of who was forgotten: whoever was forgotten after the backup can be read again. Forget them again, or ' +
  'restore anew with --forgotten LIST (npx cartstream forgotten prints that of a store).';

interface List {
  readonly path: string;
  readonly forgotten: NonNullable<ReturnType<typeof readForgotten>>['forgotten'];
  readonly unreadable: number;
}

/** @throws {BadFile} the list that was named is not there, or is none */
function forgottenFor(named: string | undefined, settings: Settings): List | undefined {
  const path = named ?? forgottenPath(settings);
  const list = readForgotten(path);
  if (list === undefined) {
    if (named === undefined) return undefined;
    throw new BadFile(`There is no file ${named}.`);
  }
  if (list.forgotten.length === 0 && list.unreadable > 0)
    throw new BadFile(`${path} is no list of who was forgotten: npx cartstream forgotten prints one.`);
  return { path, ...list };
}

function saidOf({ path, forgotten, unreadable }: List, again: number): string {
  const damaged = unreadable === 0 ? '' : ` ${counted(unreadable, 'line')} of it cannot be read: look at it.`;
  const whom = `${counted(forgotten.length, 'person is', 'people are')} on the list ${path}`;
  return `${whom}; ${again} of them were known to the backup, and nothing personal of them can be read.${damaged}`;
}

/** @throws {NoMasterKey} @throws {WrongMasterKey} */
async function codecOver(client: Queries, settings: Settings, logger: Logger): Promise<StorageCodec | undefined> {
  if (!(await KeyRing.isKeyed(client))) return undefined;
  const { masterKey, otherMasterKeys } = loadMasterKeys(
    {
      fromEnvironment: settings.MASTER_KEY,
      previous: settings.MASTER_KEY_PREVIOUS,
      dataDir: settings.DATA_DIR,
      isStoreKeyed: true,
      isShared: settings.DATABASE_URL !== undefined,
    },
    logger,
  );
  return new StorageCodec(await KeyRing.open({ client, masterKey, otherMasterKeys, logger }));
}

/** Takes out of the read tables what was personal: encrypted as it is, and the hashes that it was looked up by. */
async function purge(client: Queries, codec: StorageCodec | undefined, subjects: readonly string[]): Promise<void> {
  if (codec === undefined || subjects.length === 0) return;
  for (const { table } of contexts.flatMap((context) => context.projections)) {
    await new ReadRows(table, client, codec).purge(subjects);
  }
}
