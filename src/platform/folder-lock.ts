import { randomUUID } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
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

/**
 * Takes a folder for this process alone, for nothing in PGlite stops two processes from writing one folder.
 *
 * The lock is a file made with O_EXCL. One left behind by a killed process is recognised because its pid is dead, or
 * has been given to a process that started at another time (Linux). It is moved away by rename before a new one is
 * made, and put back if what was moved is not what was judged: so of two processes that find the same stale lock,
 * one at most goes on.
 *
 * @returns gives the folder back
 * @throws {FolderInUse}
 */
export function lockFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'cartstream.lock');
  const mine: Holder = { pid: process.pid, startedAt: startOf(process.pid), host: hostname(), nonce: randomUUID() };
  for (let attempt = 0; attempt < 5; attempt += 1) {
    try {
      writeFileSync(path, JSON.stringify(mine), { flag: 'wx' });
      return () => {
        if (read(path)?.nonce === mine.nonce) rmSync(path, { force: true });
      };
    } catch (error) {
      if (!(error instanceof Error) || !('code' in error) || error.code !== 'EEXIST') throw error;
    }
    const holder = read(path);
    if (holder !== undefined && isAlive(holder)) throw inUse(folder, path, holder);
    moveAway(path, holder?.nonce, mine.nonce);
  }
  throw inUse(folder, path, read(path));
}

function moveAway(path: string, judged: string | undefined, nonce: string): void {
  const aside = `${path}.${nonce}`;
  try {
    renameSync(path, aside);
  } catch {
    return;
  }
  if (read(aside)?.nonce === judged) rmSync(aside, { force: true });
  else renameSync(aside, path);
}

function read(path: string): Holder | undefined {
  try {
    return holderSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
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

/** When a process started, in the kernel's own ticks; empty where the system does not tell. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
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
