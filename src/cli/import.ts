import process from 'node:process';
import { z } from 'zod';
import { InvalidSettings, readSettings } from '../config.ts';
import { projectionRebuildRequested } from '../contexts/operations/projection-events.ts';
import { ExportReader } from '../eventsourcing/backup/log-export.ts';
import { importLog } from '../eventsourcing/backup/log-import.ts';
import { openDatabase } from '../platform/database.ts';
import { createLogger } from '../platform/logger.ts';
import { counted } from './counted.ts';
import { processesOf } from './known-of-program.ts';
import { optionProblems } from './option-problems.ts';
import { codecOver, forgottenFor, saidOf } from './refilled-store.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { letGoOfCheckpoint } from './verify/let-go.ts';

/** What became of rebuilds is no part of a log either: none is under way, and the next one is counted on from there. */
const REBUILDS = `
  INSERT INTO rebuilds (name, run, status, position, total, different_keys, started_at, finished_at)
  SELECT 'projection:' || (data->>'projection'), max((data->>'run')::int), 'CANCELLED', 0, 0, '{}', max(recorded_at), max(recorded_at)
  FROM events WHERE type = '${projectionRebuildRequested.type}' GROUP BY 1`;

const importOptions = z.object({ forgotten: z.string().min(1).optional() });

/**
 * `cartstream import`: fills an empty store with a log that was exported. It is paused then, until `cartstream resume`.
 * @param given the options as they were typed
 */
export async function importStore(path: string, given: unknown): Promise<void> {
  const options = importOptions.safeParse(given);
  if (!options.success) throw new InvalidSettings(optionProblems(options.error));
  const settings = readSettings();
  const logger = createLogger(settings.LOG_LEVEL);
  // Before a folder is made for what cannot be imported.
  await (await ExportReader.open(path)).close();
  const list = forgottenFor(options.data.forgotten, settings);
  const { DATABASE_URL: url, DATA_DIR: folder } = settings;
  const database = await openDatabase(url === undefined ? { engine: 'pglite', folder } : { engine: 'postgresql', url });
  let bar: Progress | undefined;
  try {
    const { header, epoch } = await importLog({
      database,
      path,
      processes: processesOf(settings).map(({ name }) => name),
      forgotten: list?.forgotten ?? [],
      prepare: async (client) => {
        await codecOver(client, settings, logger);
        await client.query(REBUILDS);
      },
      onProgress({ done, total }) {
        bar ??= showProgress('Importing', total, [], true);
        bar.reach(done, {});
      },
    });
    bar?.end();
    const lines = [
      `${counted(header.position, 'event')} of ${header.createdAt} ${header.position === 1 ? 'is' : 'are'} in the store. Read tables are made when a server starts.`,
      `Positions begin with ${epoch} now. What was under way is no part of a log: processes go on with what happens from now on.`,
      header.hasKeys ? saidOf(list, 0) : 'It came without keys: what is personal in it reads as forgotten.',
      ...(await letGoOfCheckpoint(settings)),
      'What is queued waits until you have looked at it: npx cartstream resume.',
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  } finally {
    bar?.end();
    await database.close();
  }
  process.exit();
}
