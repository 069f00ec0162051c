import type { Settings } from '../config.ts';
import { readForgotten } from '../eventsourcing/backup/forgotten-list.ts';
import { BadFile } from '../eventsourcing/backup/line-file.ts';
import type { Queries } from '../eventsourcing/backup/stored-tables.ts';
import { KeyRing } from '../eventsourcing/keys/key-ring.ts';
import { StorageCodec } from '../eventsourcing/log/codec.ts';
import type { Logger } from '../platform/logger.ts';
import { loadMasterKeys } from '../platform/master-key.ts';
import { counted } from './counted.ts';
import { forgottenPath } from './forgotten.ts';

/** What `restore` and `import` have in common. */

const NO_LIST =
  'There is no list of who was forgotten: whoever was forgotten after the backup can be read again. Forget them again, or ' +
  'restore anew with --forgotten LIST (npx cartstream forgotten prints that of a store).';

export interface List {
  readonly path: string;
  readonly forgotten: NonNullable<ReturnType<typeof readForgotten>>['forgotten'];
  readonly unreadable: number;
}

/** @throws {BadFile} the list that was named is not there, or is none */
export function forgottenFor(named: string | undefined, settings: Settings): List | undefined {
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

/** What to tell of it. @param again how many of them had to be forgotten again */
export function saidOf(list: List | undefined, again: number): string {
  if (list === undefined) return NO_LIST;
  const { path, forgotten, unreadable } = list;
  const damaged = unreadable === 0 ? '' : ` ${counted(unreadable, 'line')} of it cannot be read: look at it.`;
  const whom = `${counted(forgotten.length, 'person is', 'people are')} on the list ${path}`;
  return `${whom}; ${again} of them were known to the backup, and nothing personal of them can be read.${damaged}`;
}

/** Undefined where there are no keys. @throws {NoMasterKey} @throws {WrongMasterKey} */
export async function codecOver(
  client: Queries,
  settings: Settings,
  logger: Logger,
): Promise<StorageCodec | undefined> {
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
