import { randomUUID } from 'node:crypto';
import { linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';

/** The data folder belongs to another process that is alive, or may be. Its message says what to do. */
export class FolderInUse extends Error {
  override readonly name = 'FolderInUse';
}

const holderSchema = z.object({ pid: z.number().int(), startedAt: z.string(), host: z.string(), nonce: z.string() });
type Holder = z.infer<typeof holderSchema>;

const LOCK = 'cartstream.lock';

/**
 * Takes a folder for this process alone, for nothing in PGlite stops two processes from writing one folder.
 *
 * The lock is a file that appears whole or not at all. One left behind by a killed process is recognised because its pid
 * is dead, or has been given to a process that started at another time (Linux). It is removed under a second lock, so of
 * several processes that find the same stale one, one at most goes on.
 *
 * @returns gives the folder back
 * @throws {FolderInUse}
 */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, LOCK);
  const mine: Holder = { pid: process.pid, startedAt: startOf(process.pid), host: hostname(), nonce: randomUUID() };
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      createWhole(path, mine);
      return () => {
        if (read(path)?.nonce === mine.nonce) rmSync(path, { force: true });
      };
    } catch (error) {
      if (!isThere(error)) throw error;
    }
    const holder = read(path);
    if (holder !== undefined && isAlive(holder)) throw inUse(folder, path, holder);
    removeStale(folder, path, mine);
  }
  throw inUse(folder, path, read(path));
}

/** The process that has a folder; undefined where none has, or not any more. */
export function holderOf(folder: string): number | undefined {
  const holder = read(join(folder, LOCK));
  return holder !== undefined && isAlive(holder) ? holder.pid : undefined;
}

/** Makes the lock with all that is in it at once, or not at all: nobody ever reads half of it. */
function createWhole(path: string, mine: Holder): void {
  const aside = `${path}.${mine.nonce}.new`;
  writeFileSync(aside, JSON.stringify(mine));
  try {
    linkSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
}

/**
 * Removes a stale lock, one process at a time: judged again under a second lock, for whoever judged before may have seen
 * another file. A process killed right here leaves the second lock; rather than guess, the next one says what to delete.
 */
function removeStale(folder: string, path: string, mine: Holder): void {
  const takeover = `${path}.takeover`;
  try {
    createWhole(takeover, mine);
  } catch (error) {
    if (isThere(error)) throw inUse(folder, takeover, read(takeover));
    throw error;
  }
  try {
    if (isStale(path)) rmSync(path, { force: true });
  } finally {
    rmSync(takeover, { force: true });
  }
}

/** One that is not there is not stale: another process may be making its own right now. */
function isStale(path: string): boolean {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return false;
  }
  const holder = parse(text);
  return holder === undefined || !isAlive(holder);
}

function isThere(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EEXIST';
}

function read(path: string): Holder | undefined {
  try {
    return parse(readFileSync(path, 'utf8'));
  } catch {
    return undefined;
  }
}

function parse(text: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

function isAlive(holder: Holder): boolean {
  // A process of another host (a container with the same volume) cannot be asked: better to refuse than to damage.
  if (holder.host !== hostname()) return true;
  try {
    process.kill(holder.pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
  return startOf(holder.pid) === holder.startedAt;
}

/** States of a process that has ended, but that its parent has not asked about yet. */
const DEAD = new Set(['Z', 'X']);

/** When a process started, in the kernel's own ticks; empty where the system does not tell. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const [state = '', ...rest] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return DEAD.has(state) ? 'dead' : (rest[18] ?? '');
  } catch {
    return '';
  }
}

function inUse(folder: string, path: string, holder: Holder | undefined): FolderInUse {
  const who = holder === undefined ? 'another process' : `process ${holder.pid} on ${holder.host}`;
  return new FolderInUse(
    `The data folder ${folder} is in use by ${who}. Stop that process first, or set DATA_DIR to another folder, or ` +
      `DATABASE_URL to a PostgreSQL server, which serves several processes. If you are sure that it runs no more, ` +
      `delete ${path}.`,
  );
}
