import { randomUUID } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { FolderInUse, lockFolder } from './folder-lock.ts';

/** Copies of an embedded store that lie in its own data folder for as long as somebody reads them. */

const NAME = /^copy-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Between being made and being opened, a copy is nobody's for a moment. */
const YOUNG_MS = 60_000;

/** A folder for a copy of the store in a data folder. It belongs to this process, and is stale once that has died. */
export interface CopyFolder {
  readonly name: string;
  readonly path: string;
  /** Whoever opens it locks it anew. */
  unlock(): void;
  remove(): void;
}

export function isCopyName(name: string): boolean {
  return NAME.test(name);
}

export function makeCopyFolder(dataFolder: string): CopyFolder {
  const name = `copy-${randomUUID()}`;
  const path = join(dataFolder, name);
  mkdirSync(path);
  return { name, path, unlock: lockFolder(path), remove: () => rmSync(path, { recursive: true, force: true }) };
}

/** Removes what was left behind by processes that died. */
export function removeStaleCopies(dataFolder: string): void {
  for (const name of readdirSync(dataFolder).filter(isCopyName)) {
    const path = join(dataFolder, name);
    try {
      if (Date.now() - statSync(path).mtimeMs < YOUNG_MS) continue;
      lockFolder(path);
      rmSync(path, { recursive: true, force: true });
    } catch (error) {
      if (!(error instanceof FolderInUse)) throw error;
    }
  }
}
