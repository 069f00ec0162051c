import { createDecipheriv } from 'node:crypto';
import { z } from 'zod';
import { KeyWrap } from '../../src/eventsourcing/keys/key-wrap.ts';
import { keyNameOf } from '../../src/eventsourcing/keys/sealing.ts';
import type { Database } from '../../src/platform/database.ts';
import { storedTexts } from './stored-text.ts';

const keyRows = z.array(z.object({ subjectId: z.string(), wrappedKey: z.string() }));
const KEYS = `SELECT subject_id AS "subjectId", wrapped_key AS "wrappedKey" FROM subject_keys WHERE wrapped_key IS NOT NULL`;
const SEALED = /sealed\d+(?:\.[\w-]+){2,3}/g;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Everything that whoever has a whole store and its master keys can read of it: what is there in the clear, and whatever
 * any key that is left makes of anything that is sealed, wherever it lies and whosever it says that it is. Not only what
 * is authentic: also what a key would make of another's data, were it only looked at.
 */
export async function allThatCanBeRead(
  database: Database,
  masterKeys: readonly Buffer[],
): Promise<{ readonly text: string; readonly sealed: number; readonly opened: number }> {
  const stored = [...(await storedTexts(database)).values()].join('\n');
  const wraps = masterKeys.map((key) => new KeyWrap(key));
  const keys = keyRows
    .parse(await database.log.query(KEYS))
    .flatMap(({ subjectId, wrappedKey }) => wraps.flatMap((wrap) => wrap.unwrap(wrappedKey, subjectId) ?? []));
  const tokens = [...new Set(stored.match(SEALED) ?? [])].filter((it) => keyNameOf(it) !== undefined);
  const opened = tokens.flatMap((token) => {
    const body = Buffer.from(token.slice(token.lastIndexOf('.') + 1), 'base64url');
    return keys.map((key) => {
      const decipher = createDecipheriv('aes-256-gcm', key, body.subarray(0, NONCE_BYTES));
      return decipher.update(body.subarray(NONCE_BYTES + TAG_BYTES)).toString('latin1');
    });
  });
  return { text: [stored, ...opened].join('\n'), sealed: tokens.length, opened: opened.length };
}
