import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { z } from 'zod';
import { holderOf } from './folder-lock.ts';

const said = z.object({ pid: z.number(), url: z.string() });

/**
 * Says in a folder that this process has locked where it can be asked: for whoever finds the folder in use.
 * @returns takes it back
 */
export function sayAddress(folder: string, url: string): () => void {
  const path = pathIn(folder);
  writeFileSync(path, JSON.stringify({ pid: process.pid, url }));
  return () => rmSync(path, { force: true });
}

/** Where whoever has a folder can be asked; undefined where nobody has it, or does not say. What a killed process left does not count. */
export function addressIn(folder: string): string | undefined {
  try {
    const { pid, url } = said.parse(JSON.parse(readFileSync(pathIn(folder), 'utf8')));
    return pid === holderOf(folder) ? url : undefined;
  } catch {
    return undefined;
  }
}

function pathIn(folder: string): string {
  return join(folder, 'cartstream.address');
}
