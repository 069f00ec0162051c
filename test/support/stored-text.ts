import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Database } from '../../src/platform/database.ts';

const tableRows = z.array(z.object({ name: z.string() }));
const textRows = z.array(z.object({ text: z.string() }));

/** All that a store's tables hold, as text, by table. */
export async function storedTexts({ log }: Database): Promise<Map<string, string>> {
  const tables = tableRows.parse(
    await log.query("SELECT tablename::text AS name FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"),
  );
  const texts = new Map<string, string>();
  for (const { name } of tables) {
    const rows = textRows.parse(await log.query(`SELECT stored::text AS text FROM "${name}" AS stored`));
    texts.set(name, rows.map(({ text }) => text).join('\n'));
  }
  return texts;
}

/** The files of a folder, and of all below it, that hold one of these texts. */
export function filesWith(folder: string, texts: readonly string[]): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => {
      const content = readFileSync(path);
      return texts.some((text) => content.includes(text));
    });
}
