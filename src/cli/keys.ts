import process from 'node:process';
import { InvalidSettings, readSettings, type Settings } from '../config.ts';
import {
  type MasterRotated,
  type Rotated,
  type RotationParts,
  rotateMasterKey,
  rotateSubjectKeys,
} from '../eventsourcing/keys/key-rotation.ts';
import { createLogger } from '../platform/logger.ts';
import { adoptNextMasterKey, makeNextMasterKey } from '../platform/master-key.ts';
import { counted } from './counted.ts';
import { type Progress, showProgress } from './replay/progress.ts';
import { openWithKeys, type ProtectedStore } from './store.ts';

/**
 * Wraps every key of the store with a new master key. Beside servers that run, where they know both; of an embedded store,
 * while no server runs.
 */
export async function rotateMaster(): Promise<void> {
  const settings = readSettings();
  if (settings.MASTER_KEY !== undefined && settings.MASTER_KEY_PREVIOUS === undefined) {
    throw new InvalidSettings(
      'Set MASTER_KEY to the new master key, and MASTER_KEY_PREVIOUS to the one that the store uses now.',
    );
  }
  await withStore(settings, async ({ database, masterKey, otherMasterKeys }) => {
    const isFromFile = settings.MASTER_KEY === undefined;
    const next = isFromFile ? makeNextMasterKey(settings.DATA_DIR) : masterKey;
    const others = isFromFile ? [masterKey, ...otherMasterKeys] : otherMasterKeys;
    const isAlone = database.engine === 'pglite';
    const rotated = await showing('Wrapping', (onProgress) =>
      rotateMasterKey({ client: database.log, masterKey: next, otherMasterKeys: others, isAlone, onProgress }),
    );
    if (isFromFile && rotated.broken === 0) adoptNextMasterKey(settings.DATA_DIR);
    say(
      `${counted(rotated.changed, 'key was', 'keys were')} wrapped anew. The store uses the new master key.`,
      rotated,
    );
    saySeals(rotated);
    if (rotated.broken === 0) say(isFromFile ? FILE_REPLACED : 'Restart servers without MASTER_KEY_PREVIOUS.', rotated);
  });
}

/** Gives one subject, or all, a new key for what is written from now on. */
export async function rotateSubject(subject: string | undefined, { all }: { readonly all?: boolean }): Promise<void> {
  if ((subject === undefined) === (all !== true)) {
    throw new InvalidSettings('Name one customer or guest by their raw id, or say --all.');
  }
  await withStore(readSettings(), async ({ database, masterKey, otherMasterKeys }) => {
    const parts = { client: database.log, masterKey, otherMasterKeys, isAlone: database.engine === 'pglite' };
    const rotated = await showing('Making', (onProgress) => rotateSubjectKeys({ ...parts, onProgress }, subject));
    const made = `${counted(rotated.changed, 'new key was', 'new keys were')} made.`;
    say(parts.isAlone ? made : `${made} Servers use what is new within a minute.`, rotated);
  });
}

const FILE_REPLACED = 'The file master.key holds it now: keep a copy, and throw copies of the one before away.';

function say(line: string, { broken }: Rotated): void {
  process.stdout.write(`${line}\n`);
  if (broken === 0) return;
  process.stderr.write(`${counted(broken, 'key')} cannot be unwrapped with any of the master keys: left as before.\n`);
  process.exitCode = 1;
}

/** Seals of the log, which the same key signs. */
function saySeals({ seals, brokenSeals }: MasterRotated): void {
  if (seals > 0) process.stdout.write(`${counted(seals, 'seal')} of the log signed anew.\n`);
  if (brokenSeals === 0) return;
  process.stderr.write(
    `${counted(brokenSeals, 'seal')} of the log not signed with any of the master keys: left as before. Run npx cartstream verify.\n`,
  );
  process.exitCode = 1;
}

async function showing<Done extends Rotated>(
  title: string,
  run: (onProgress: RotationParts['onProgress'] & object) => Promise<Done>,
): Promise<Done> {
  let bar: Progress | undefined;
  try {
    return await run(({ done, total }) => {
      bar ??= showProgress(title, total, ['keys'], true);
      bar.reach(done, { keys: done });
    });
  } finally {
    bar?.end();
  }
}

async function withStore(settings: Settings, work: (store: ProtectedStore) => Promise<void>): Promise<void> {
  const store = await openWithKeys(settings, createLogger(settings.LOG_LEVEL));
  try {
    await work(store);
  } finally {
    await store.database.close();
  }
  // The schema engine keeps a timer that would hold the process for seconds.
  process.exit();
}
