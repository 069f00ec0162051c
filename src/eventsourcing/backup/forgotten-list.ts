import { closeSync, fstatSync, fsyncSync, mkdirSync, openSync, readFileSync, readSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { Logger } from '../../platform/logger.ts';
import { column } from '../projections/read-table.ts';
import { parsed } from './line-file.ts';

/** Somebody who was forgotten. */
export interface Forgotten {
  /** The id that their data belonged to. */
  readonly subject: string;
  readonly at: Date;
}

const line = z.object({ subject: z.string(), at: z.coerce.date() });
const rows = z.array(z.object({ subject: z.string(), at: column.instant() }));
const FORGOTTEN = `
  SELECT subject_id AS subject, min(destroyed_at) AS at FROM subject_keys
  WHERE destroyed_at IS NOT NULL GROUP BY subject_id ORDER BY min(destroyed_at), subject_id`;

/** Everybody who was forgotten in a store. */
export async function forgottenIn(client: Pick<SqlClient, 'query'>): Promise<Forgotten[]> {
  return rows.parse(await client.query(FORGOTTEN));
}

/**
 * Who was forgotten, in a file outside of the database, a line each: a backup of before knows nothing of it, and is restored
 * with this. It holds ids, and nothing else of anybody.
 */
export class ForgottenList {
  readonly #path: string;
  readonly #logger: Logger;
  #known: Set<string> | undefined;

  constructor(path: string, logger: Logger) {
    this.#path = path;
    this.#logger = logger;
  }

  /**
   * On the disk when it returns, for it is called before anybody is told that it is done; rare, so that it may stand in the
   * way. What cannot be written is said in the log of the program: the database knows it, and the next start writes it.
   */
  add(forgotten: readonly Forgotten[]): void {
    if (forgotten.length === 0) return;
    try {
      this.#known ??= new Set(readForgotten(this.#path)?.forgotten.map(({ subject }) => subject));
      const known = this.#known;
      const news = forgotten.filter(({ subject }) => !known.has(subject));
      if (news.length === 0) return;
      append(this.#path, news.map(({ subject, at }) => `${JSON.stringify({ subject, at })}\n`).join(''));
      for (const { subject } of news) known.add(subject);
    } catch (error) {
      this.#logger.error(
        { err: error, file: this.#path },
        'somebody is forgotten, and the list outside of the database cannot be written: npx cartstream forgotten prints it',
      );
    }
  }
}

function append(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  const file = openSync(path, 'a+', 0o600);
  try {
    writeSync(file, endsInLine(file) ? `\n${text}` : text);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A process died while it wrote: what comes next begins a line of its own. */
function endsInLine(file: number): boolean {
  const { size } = fstatSync(file);
  const last = Buffer.alloc(1);
  return size > 0 && readSync(file, last, 0, 1, size - 1) === 1 && last.toString() !== '\n';
}

export interface ReadList {
  readonly forgotten: readonly Forgotten[];
  /** How many lines are none: not written to their end, or of something else. */
  readonly unreadable: number;
}

/** The list in a file; undefined where there is none. */
export function readForgotten(path: string): ReadList | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  const first = new Map<string, Forgotten>();
  let unreadable = 0;
  for (const each of text.split('\n')) {
    if (each.trim() === '') continue;
    const known = line.safeParse(parsed(each)).data;
    if (known === undefined) unreadable += 1;
    else if (!first.has(known.subject)) first.set(known.subject, known);
  }
  return { forgotten: [...first.values()], unreadable };
}
