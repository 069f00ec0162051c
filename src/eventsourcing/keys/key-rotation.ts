import { randomBytes } from 'node:crypto';
import { z } from 'zod';
import { SealKeys } from '../seals/seal-keys.ts';
import { resignSeals } from '../seals/seal-rotation.ts';
import { SealStore } from '../seals/seal-store.ts';
import { findKeys, findStoreKey, type KeyQueries } from './key-store.ts';
import { KEY_BYTES, type KeyWrap } from './key-wrap.ts';
import { MasterKeys } from './master-keys.ts';
import { STORE_SUBJECT } from './subject-key.ts';

/** Keys cannot be changed as things stand. The message says what to do first; nothing was changed. */
export class CannotRotate extends Error {
  override readonly name = 'CannotRotate';
}

/** How far a rotation is. */
export interface RotationProgress {
  readonly done: number;
  readonly total: number;
}

export interface Rotated {
  /** How many keys were wrapped anew, or made. */
  readonly changed: number;
  /** How many could not be, since they cannot be unwrapped: they are broken, and were before. */
  readonly broken: number;
}

export interface MasterRotated extends Rotated {
  /** How many seals of the log were signed anew. */
  readonly seals: number;
  /** How many were not, since nobody known had signed them: they are left as they are. */
  readonly brokenSeals: number;
}

export interface RotationParts {
  readonly client: KeyQueries;
  /** 32 bytes: what the store is to use from now on. */
  readonly masterKey: Buffer;
  /** What it may use until now. */
  readonly otherMasterKeys?: readonly Buffer[];
  /** No other process can reach the store, whatever it says of nodes that were there once. */
  readonly isAlone: boolean;
  onProgress?(progress: RotationProgress): void;
}

const BATCH = 500;

const IGNORANT = `
  SELECT count(*)::int AS count FROM nodes WHERE is_alive(id) AND NOT coalesce(master_key_ids, '{}') @> ARRAY[$1::text]`;
// Which are left: those before and after the new one's id in the index. The list goes on behind what could not be changed.
const LEFT = (beyond: '<' | '>') => `
  SELECT subject_id AS subject, version, wrapped_key AS wrapped, master_key_id AS "masterKeyId" FROM subject_keys
  WHERE wrapped_key IS NOT NULL AND master_key_id ${beyond} $1 AND (master_key_id, subject_id, version) > ($2, $3, $4::int)
  ORDER BY master_key_id, subject_id, version LIMIT ${BATCH}`;
const COUNT_LEFT = `
  SELECT count(*)::int AS count FROM subject_keys WHERE wrapped_key IS NOT NULL AND (master_key_id < $1 OR master_key_id > $1)`;
const REWRAP = 'SELECT rewrap_subject_keys($1::jsonb, $2) AS changed';
const ROTATE = 'SELECT rotate_subject_keys($1::jsonb, $2) AS changed';
const COUNT_SUBJECTS = `
  SELECT count(DISTINCT subject_id)::int AS count FROM subject_keys WHERE wrapped_key IS NOT NULL AND subject_id <> ''`;
// Those that had a new key since it began are passed.
const SUBJECTS = `
  SELECT page.subject_id AS subject, newest.version, newest."isOld"
  FROM (
    SELECT DISTINCT subject_id FROM subject_keys
    WHERE subject_id > $1 AND wrapped_key IS NOT NULL ORDER BY subject_id LIMIT ${BATCH}
  ) AS page
  CROSS JOIN LATERAL (
    SELECT k.version, k.created_at < $2::timestamptz AS "isOld" FROM subject_keys AS k
    WHERE k.subject_id = page.subject_id ORDER BY k.version DESC LIMIT 1
  ) AS newest
  ORDER BY page.subject_id`;

const counted = z.tuple([z.object({ count: z.number() })]);
const beganRow = z.tuple([z.object({ began: z.date() })]);
const changedRow = z.tuple([z.object({ changed: z.number() })]);
const leftRows = z.array(
  z.object({ subject: z.string(), version: z.number(), wrapped: z.string(), masterKeyId: z.string() }),
);
const subjectRows = z.array(z.object({ subject: z.string(), version: z.number(), isOld: z.boolean() }));

/**
 * Wraps every key with another master key, and signs every seal of the log anew, batch by batch, while servers run that know
 * both. The store's own key goes first: from then on new keys are wrapped, and new seals signed, with the new one; the seals
 * are next: a server that does not know the one before refuses to start while other keys are wrapped with it. Interrupted, it
 * goes on where it was when it is called again.
 * @throws {CannotRotate} nothing was changed
 */
export async function rotateMasterKey(parts: RotationParts): Promise<MasterRotated> {
  const { client, masterKey, otherMasterKeys, isAlone, onProgress } = parts;
  const keys = new MasterKeys(masterKey, otherMasterKeys);
  const to = keys.first;
  if (!isAlone) await refuseWhileSomebodyIgnores(to, client);
  const own = await findStoreKey(client, to);
  if (own === undefined || keys.find(own.masterKeyId)?.unwrap(own.wrappedKey ?? '', STORE_SUBJECT) === undefined) {
    throw new CannotRotate(
      'The store uses a master key that is not known here: set MASTER_KEY to the new one, and MASTER_KEY_PREVIOUS to the ' +
        'one that the store uses now.',
    );
  }
  const [{ count }] = counted.parse(await client.query(COUNT_LEFT, to.masterKeyId));
  const sealStore = new SealStore(client);
  const total = count + (await sealStore.countOthers(to.masterKeyId));
  let changed = 0;
  let broken = 0;
  let sealed = 0;
  const rewrap = async (left: readonly LeftKey[]) => {
    const whole = left.flatMap(({ subject, version, wrapped: before, masterKeyId }) => {
      const key = keys.find(masterKeyId)?.unwrap(before, subject);
      return key === undefined ? [] : [{ subject, version, before, wrapped: to.wrap(key, subject) }];
    });
    broken += left.length - whole.length;
    const answer = await client.query(REWRAP, JSON.stringify(whole), to.masterKeyId);
    changed += changedRow.parse(answer)[0].changed;
    onProgress?.({ done: changed + broken + sealed, total });
  };
  const { wrappedKey: wrapped, masterKeyId } = own;
  if (masterKeyId !== to.masterKeyId && wrapped !== null)
    await rewrap([{ subject: STORE_SUBJECT, version: 1, wrapped, masterKeyId }]);
  const resigned = await signAnew(sealStore, parts, to, (done) => onProgress?.({ done: changed + done, total }));
  sealed = resigned.changed + resigned.broken;
  for (const beyond of ['<', '>'] as const) {
    for await (const left of leftKeys(beyond, to, client)) await rewrap(left);
  }
  return { changed, broken, seals: resigned.changed, brokenSeals: resigned.broken };
}

function signAnew(
  store: SealStore,
  { masterKey, otherMasterKeys }: RotationParts,
  { masterKeyId }: KeyWrap,
  onProgress: (done: number) => void,
) {
  const keys = new SealKeys(masterKey, otherMasterKeys);
  const key = keys.find(masterKeyId);
  if (key === undefined) throw new Error('The new master key is not among those that are known.');
  return resignSeals(store, keys, key, onProgress);
}

type LeftKey = z.output<typeof leftRows>[number];

async function* leftKeys(beyond: '<' | '>', to: KeyWrap, client: KeyQueries): AsyncGenerator<readonly LeftKey[]> {
  let after: readonly [masterKeyId: string, subject: string, version: number] = ['', '', 0];
  for (;;) {
    const left = leftRows.parse(await client.query(LEFT(beyond), to.masterKeyId, ...after));
    const last = left.at(-1);
    if (last === undefined) return;
    yield left;
    after = [last.masterKeyId, last.subject, last.version];
  }
}

/** A server that does not know it could not read what it has in the store any more. */
async function refuseWhileSomebodyIgnores({ masterKeyId }: KeyWrap, client: KeyQueries): Promise<void> {
  const [{ count }] = counted.parse(await client.query(IGNORANT, masterKeyId));
  if (count === 0) return;
  throw new CannotRotate(
    `${count} running ${count === 1 ? 'server does' : 'servers do'} not know the new master key yet. Restart every server ` +
      'and worker with MASTER_KEY set to the new one and MASTER_KEY_PREVIOUS to the one before (or with the file ' +
      'master.key.new beside master.key), one after the other, then run this again.',
  );
}

/**
 * Gives subjects a new key, which seals what is written from now on; the ones before stay, to read what is there, until the
 * subject is forgotten. Servers go on with the key before for up to a minute.
 * @param subject of one; or all of those that have keys by now. Interrupted, it begins anew
 * @throws {CannotRotate} there is no such subject, or it was forgotten
 */
export async function rotateSubjectKeys(parts: RotationParts, subject: string | undefined): Promise<Rotated> {
  const { client, masterKey, otherMasterKeys, onProgress } = parts;
  const keys = new MasterKeys(masterKey, otherMasterKeys);
  const own = await findStoreKey(client, keys.first);
  const wrap = own && keys.find(own.masterKeyId);
  if (wrap === undefined)
    throw new CannotRotate('MASTER_KEY is not the one that this store uses: nothing was changed.');
  if (subject !== undefined) {
    const known = subject === STORE_SUBJECT ? [] : await findKeys(client, [subject]);
    if (known.length === 0) throw new CannotRotate(`Nothing personal is kept of ${subject}: there is no key.`);
    if (known.some(({ isDestroyed }) => isDestroyed))
      throw new CannotRotate(`${subject} was forgotten: there is no key.`);
    const changed = await addKeys([{ subject, version: Math.max(...known.map((it) => it.version)) }], wrap, client);
    return { changed, broken: 0 };
  }
  const [{ began }] = beganRow.parse(await client.query('SELECT now()::timestamptz(3) AS began'));
  const [{ count: total }] = counted.parse(await client.query(COUNT_SUBJECTS));
  let changed = 0;
  let after = '';
  for (;;) {
    const subjects = subjectRows.parse(await client.query(SUBJECTS, after, began));
    const last = subjects.at(-1);
    if (last === undefined) return { changed, broken: 0 };
    const old = subjects.filter(({ isOld }) => isOld);
    changed += await addKeys(old, wrap, client);
    onProgress?.({ done: changed, total });
    after = last.subject;
  }
}

async function addKeys(
  subjects: readonly { readonly subject: string; readonly version: number }[],
  wrap: KeyWrap,
  client: KeyQueries,
): Promise<number> {
  const made = subjects.map(({ subject, version }) => ({
    ...{ subject, version: version + 1 },
    wrapped: wrap.wrap(randomBytes(KEY_BYTES), subject),
  }));
  return changedRow.parse(await client.query(ROTATE, JSON.stringify(made), wrap.masterKeyId))[0].changed;
}
