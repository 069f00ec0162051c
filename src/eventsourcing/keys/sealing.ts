import { createCipheriv, createDecipheriv, type KeyObject, randomFillSync } from 'node:crypto';
import type { Json } from '../json.ts';
import type { SubjectKey } from './subject-key.ts';

/** Say what is stored there, and in which form. The first names no version of the key: it is sealed with version 1. */
const OF_FIRST_KEY = 'sealed1';
const OF_LATER_KEY = 'sealed2';
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * A value as it is stored: `sealed1.<subject>.<nonce, tag and ciphertext>`, in base64url; with a key that is not the
 * subject's first, `sealed2.<subject>.<version of the key>.<nonce, tag and ciphertext>`. All that stands before, and the
 * identity of the field, are authenticated, so what is moved to another place cannot be opened there.
 * @param subject whose key it is
 * @param identity of the field: what is stored, and which member of it
 */
export function seal(
  value: Json,
  subject: string,
  { key, version }: Pick<SubjectKey, 'key' | 'version'>,
  identity: readonly string[],
): string {
  const head = headOf(subject, version);
  const nonce = nextNonce();
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(authenticated(head, identity));
  const text = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
  return head + Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64url');
}

/** Which key opens it; undefined for what was never sealed. */
export function keyNameOf(sealed: unknown): { readonly subject: string; readonly version: number } | undefined {
  if (typeof sealed !== 'string') return undefined;
  const [form, subject, ...rest] = sealed.split('.');
  if (subject === undefined) return undefined;
  const named = Buffer.from(subject, 'base64url').toString('utf8');
  if (form === OF_FIRST_KEY && rest.length === 1) return { subject: named, version: 1 };
  if (form !== OF_LATER_KEY || rest.length !== 2 || !/^[1-9]\d{0,8}$/.test(rest[0] ?? '')) return undefined;
  return { subject: named, version: Number(rest[0]) };
}

/** Whose key opens it; undefined for what was never sealed. */
export function subjectOf(sealed: unknown): string | undefined {
  return keyNameOf(sealed)?.subject;
}

/** @returns undefined where it was changed or moved, or is of another key */
export function unseal(sealed: string, key: KeyObject, identity: readonly string[]): { value: Json } | undefined {
  const start = sealed.lastIndexOf('.') + 1;
  const head = sealed.slice(0, start);
  const sealedText = sealed.slice(start);
  const body = Buffer.from(sealedText, 'base64url');
  // Base64 may be written in more than one way: only the one that was made is taken.
  if (body.length < NONCE_BYTES + TAG_BYTES || body.toString('base64url') !== sealedText) return undefined;
  try {
    const decipher = createDecipheriv(CIPHER, key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
    decipher.setAAD(authenticated(head, identity));
    decipher.setAuthTag(body.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
    const text = decipher.update(body.subarray(NONCE_BYTES + TAG_BYTES), undefined, 'utf8') + decipher.final('utf8');
    return { value: JSON.parse(text) };
  } catch {
    return undefined;
  }
}

/** Random bytes are cheap by the thousand, and dear by the dozen. */
const nonces = Buffer.alloc(NONCE_BYTES * 512);
let nextByte = nonces.length;

function nextNonce(): Buffer {
  if (nextByte === nonces.length) {
    randomFillSync(nonces);
    nextByte = 0;
  }
  nextByte += NONCE_BYTES;
  // A copy: what is in the pool is overwritten.
  return Buffer.from(nonces.subarray(nextByte - NONCE_BYTES, nextByte));
}

function headOf(subject: string, version: number): string {
  const named = Buffer.from(subject, 'utf8').toString('base64url');
  return version === 1 ? `${OF_FIRST_KEY}.${named}.` : `${OF_LATER_KEY}.${named}.${version}.`;
}

function authenticated(head: string, identity: readonly string[]): Buffer {
  return Buffer.from(head + JSON.stringify(identity), 'utf8');
}
