import process from 'node:process';
import { z } from 'zod';
import { readSettings } from '../config.ts';
import { expectNothingAt, STANDARD } from '../eventsourcing/backup/line-file.ts';
import { exportLog } from '../eventsourcing/backup/log-export.ts';
import { counted } from './counted.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { withStoreToRead } from './store-to-read.ts';

const exportOptions = z.object({ withKeys: z.boolean().default(false) });

/**
 * `cartstream export`: writes the log as it is stored, as JSON lines.
 * @param path or `-` for standard output
 * @param given the options as they were typed
 */
export async function exportStore(path: string, given: unknown): Promise<void> {
  const { withKeys } = exportOptions.parse(given);
  await expectNothingAt(path);
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  await withStoreToRead(readSettings(), given, async (database) => {
    let bar: Progress | undefined;
    try {
      const { position } = await exportLog(database, path, withKeys, ({ done, total }) => {
        bar ??= showProgress('Exporting', total, ['events'], true);
        bar.reach(done, { events: done });
      });
      bar?.end();
      const keys = withKeys ? ' and the keys, which the master key opens,' : '';
      const where = path === STANDARD ? '' : ` to ${path}`;
      const said = `${counted(position, 'event')}${keys} ${position === 1 ? 'was' : 'were'} written${where}.\n`;
      (path === STANDARD ? process.stderr : process.stdout).write(said);
    } finally {
      bar?.end();
    }
  });
  process.exit();
}
