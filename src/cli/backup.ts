import process from 'node:process';
import { readSettings } from '../config.ts';
import { backUp } from '../eventsourcing/backup/backup.ts';
import { expectNothingAt, STANDARD } from '../eventsourcing/backup/line-file.ts';
import { counted } from './counted.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { withStoreToRead } from './store-to-read.ts';

/**
 * `cartstream backup`: writes all that the store holds to a file, as of one instant, while servers go on.
 * @param path or `-` for standard output
 * @param given the options as they were typed
 */
export async function backup(path: string, given: unknown): Promise<void> {
  await expectNothingAt(path);
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
  await withStoreToRead(readSettings(), given, async (database) => {
    let bar: Progress | undefined;
    const begun = performance.now();
    try {
      const { rows, position } = await backUp(database, path, ({ done, total }) => {
        bar ??= showProgress('Backing up', total, ['rows'], true);
        bar.reach(done, { rows: done });
      });
      bar?.end();
      const seconds = ((performance.now() - begun) / 1_000).toFixed(1);
      const said = `${counted(rows, 'row')} up to position ${position} were written${path === STANDARD ? '' : ` to ${path}`} in ${seconds} s. Keep the master key elsewhere: it is not in there.\n`;
      (path === STANDARD ? process.stderr : process.stdout).write(said);
    } finally {
      bar?.end();
    }
  });
  process.exit();
}
