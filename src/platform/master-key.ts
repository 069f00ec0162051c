import { randomBytes, randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const MASTER_KEY_BYTES = 32;
const FILE = 'master.key';
/** What the store is going over to. */
const NEW_FILE = 'master.key.new';

/** There is no master key, or it is none. Its message says what to do. */
export class NoMasterKey extends Error {
  override readonly name = 'NoMasterKey';
}

/** Where an operator reads that a key was made: of the program's log. */
export interface MasterKeyLogger {
  info(about: { file: string }, message: string): void;
  warn(about: { file: string }, message: string): void;
}

export interface MasterKeySettings {
  /** MASTER_KEY, if it is set. */
  readonly fromEnvironment?: string | undefined;
  /** MASTER_KEY_PREVIOUS, if it is set: the store may use that one yet. */
  readonly previous?: string | undefined;
  readonly dataDir: string;
  /** The store has keys already: then a new master key would be of no use. */
  readonly isStoreKeyed: boolean;
  /** Other processes may use the same store. */
  readonly isShared: boolean;
}

/** 32 bytes in hexadecimal or in base64 (either alphabet). @returns undefined for anything else */
export function parseMasterKey(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex');
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined;
  const key = Buffer.from(text, 'base64');
  return key.length === MASTER_KEY_BYTES ? key : undefined;
}

/**
 * The master key: from the environment, or from a file in the data folder, which is made for a new store. Convenient to
 * begin with; but whoever has the folder of an embedded store then has the key beside the data.
 * @throws {NoMasterKey}
 */
export function loadMasterKey(settings: MasterKeySettings, logger: MasterKeyLogger): Buffer {
  const { fromEnvironment, dataDir, isStoreKeyed, isShared } = settings;
  if (fromEnvironment !== undefined) {
    const key = parseMasterKey(fromEnvironment);
    if (key === undefined) throw new NoMasterKey(`MASTER_KEY must be ${MASTER_KEY_BYTES} bytes, in base64 or hex.`);
    return key;
  }
  const path = join(dataDir, FILE);
  const existing = readKey(path);
  if (existing !== undefined) return existing;
  if (isStoreKeyed) {
    throw new NoMasterKey(
      `The personal data in this store is encrypted, and there is no key to read it with: MASTER_KEY is not set, and ${path} ` +
        'is not there. Set MASTER_KEY to the one that the store began with, or put its file back.',
    );
  }
  makeKey(dataDir, path);
  const key = readKey(path);
  if (key === undefined) throw new NoMasterKey(`${path} could not be made.`);
  const said = { file: path };
  logger.info(
    said,
    'made a master key for this new store: keep a copy, without it personal data cannot be read any more',
  );
  if (isShared)
    logger.warn(said, 'every other process of this database needs the same key: set MASTER_KEY to what the file says');
  return key;
}

/** The master keys that a process knows: what it was given, and what the store comes from, or goes over to. */
export interface KnownMasterKeys {
  readonly masterKey: Buffer;
  readonly otherMasterKeys: readonly Buffer[];
  /** A change to another master key was begun: what the store is to go over to. Undefined where there is none. */
  readonly next: Buffer | undefined;
}

/** All master keys that this process is to know. @throws {NoMasterKey} */
export function loadMasterKeys(settings: MasterKeySettings, logger: MasterKeyLogger): KnownMasterKeys {
  const masterKey = loadMasterKey(settings, logger);
  if (settings.fromEnvironment === undefined) {
    const next = readKey(join(settings.dataDir, NEW_FILE));
    return { masterKey, otherMasterKeys: next === undefined ? [] : [next], next };
  }
  if (settings.previous === undefined) return { masterKey, otherMasterKeys: [], next: undefined };
  const previous = parseMasterKey(settings.previous);
  if (previous === undefined)
    throw new NoMasterKey(`MASTER_KEY_PREVIOUS must be ${MASTER_KEY_BYTES} bytes, like MASTER_KEY.`);
  return { masterKey, otherMasterKeys: [previous], next: masterKey };
}

/** Makes the file of a new master key beside the one in use; one that is there already stays. */
export function makeNextMasterKey(dataDir: string): Buffer {
  const path = join(dataDir, NEW_FILE);
  if (readKey(path) === undefined) makeKey(dataDir, path);
  const key = readKey(path);
  if (key === undefined) throw new NoMasterKey(`${path} could not be made.`);
  return key;
}

/** The new master key takes the place of the one before, whose file is gone then: every key of the store is wrapped with it. */
export function adoptNextMasterKey(dataDir: string): void {
  renameSync(join(dataDir, NEW_FILE), join(dataDir, FILE));
}

function readKey(path: string): Buffer | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').trim();
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const key = parseMasterKey(text);
  if (key === undefined) throw new NoMasterKey(`${path} does not hold a master key: put the right file back.`);
  return key;
}

/** The file appears whole or not at all, and one that another process made at the same time stays. */
function makeKey(dataDir: string, path: string): void {
  mkdirSync(dataDir, { recursive: true });
  const aside = `${path}.${randomUUID()}.new`;
  writeFileSync(aside, `${randomBytes(MASTER_KEY_BYTES).toString('base64')}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(aside, path);
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}
