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
  'There is no list of who was forgotten: whoever was forgotten after the file was made can be read again. Forget them ' +
  'again, or begin anew with --forgotten LIST (npx cartstream forgotten prints that of a store).';

export interface List {
  /** One file, or two. */
  readonly paths: readonly string[];
  readonly forgotten: NonNullable<ReturnType<typeof readForgotten>>['forgotten'];
  readonly unreadable: number;
}

/**
 * Whoever is on the list that was named, or on that of this machine: the one that was named may be the older one.
 * @throws {BadFile} the list that was named is not there, or one of them is none
 */
export function forgottenFor(named: string | undefined, settings: Settings): List | undefined {
  const paths = [...new Set([...(named === undefined ? [] : [named]), forgottenPath(settings)])];
  const lists = paths.flatMap((path) => {
    const list = readForgotten(path);
    if (list === undefined && path === named) throw new BadFile(`There is no file ${named}.`);
    if (list?.forgotten.length === 0 && list.unreadable > 0)
      throw new BadFile(`${path} is no list of who was forgotten: npx cartstream forgotten prints one.`);
    return list === undefined ? [] : [{ path, ...list }];
  });
  if (lists.length === 0) return undefined;
  const first = new Map(lists.flatMap(({ forgotten }) => forgotten.map((it) => [it.subject, it] as const)).reverse());
  return {
    paths: lists.map(({ path }) => path),
    forgotten: [...first.values()],
    unreadable: lists.reduce((sum, { unreadable }) => sum + unreadable, 0),
  };
}

/** What to tell of it. @param again how many of them had to be forgotten again */
export function saidOf(list: List | undefined, again: number): string {
  if (list === undefined) return NO_LIST;
  const { paths, forgotten, unreadable } = list;
  const damaged = unreadable === 0 ? '' : ` ${counted(unreadable, 'line')} of it cannot be read: look at it.`;
  const whom = `${counted(forgotten.length, 'person is', 'people are')} on ${paths.length > 1 ? 'the lists' : 'the list'} ${paths.join(' and ')}`;
  return `${whom}; ${again} of them were known to the file, and nothing personal of them can be read.${damaged}`;
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
