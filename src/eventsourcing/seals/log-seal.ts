import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { SealKey, SealKeys } from './seal-keys.ts';

export const HASH_BYTES = 32;
/** So many events, at most, are under one seal. */
export const STRETCH = 1_000;

/** What stands for the hash of the event before the first. */
export const GENESIS = createHash('sha256').update('cartstream log').digest();

/** The hash of an event, which covers all events before it. @param line as it is stored: `STORED_LINE` */
export function chained(previous: Buffer, line: string): Buffer {
  return createHash('sha256').update(previous).update(line).digest();
}

/** What a seal says: at this instant the log ended like this. Whoever keeps it elsewhere can prove it later. */
export interface Checkpoint {
  readonly epoch: string;
  readonly position: number;
  /** Of the event at that position, and so of all before it. */
  readonly hash: Buffer;
  /** SHA-256 over all hashes that are under the seal: so none of them can be changed. */
  readonly digest: Buffer;
  readonly sealedAt: Date;
  readonly keyId: string;
  readonly signature: Buffer;
}

/** Hashes of events in a row, signed. */
export interface LogSeal {
  readonly firstPosition: number;
  /** Of the last event. */
  readonly position: number;
  readonly epoch: string;
  readonly hashes: Buffer;
  readonly sealedAt: Date;
  readonly keyId: string;
  readonly signature: Buffer;
}

export type UnsignedSeal = Omit<LogSeal, 'keyId' | 'signature'>;

export function signed(seal: UnsignedSeal, key: SealKey): LogSeal {
  return { ...seal, keyId: key.id, signature: key.sign(messageOf(said(seal))) };
}

export function checkpointOf(seal: LogSeal): Checkpoint {
  return { ...said(seal), keyId: seal.keyId, signature: seal.signature };
}

/** Whether a key that is known here signed it. */
export function isSigned(checkpoint: Checkpoint, keys: SealKeys): boolean {
  return keys.find(checkpoint.keyId)?.verify(messageOf(checkpoint), checkpoint.signature) === true;
}

/** The hash of one event of a seal. */
export function hashAt({ firstPosition, hashes }: Pick<LogSeal, 'firstPosition' | 'hashes'>, position: number): Buffer {
  const start = (position - firstPosition) * HASH_BYTES;
  return hashes.subarray(start, start + HASH_BYTES);
}

type Said = Omit<Checkpoint, 'keyId' | 'signature'>;

function said({ epoch, position, hashes, sealedAt }: UnsignedSeal): Said {
  const digest = createHash('sha256').update(hashes).digest();
  return { epoch, position, hash: hashes.subarray(-HASH_BYTES), digest, sealedAt };
}

/** What is signed: one text for each value. */
function messageOf({ epoch, position, hash, digest, sealedAt }: Said): Buffer {
  const values = [epoch, position, hash.toString('hex'), digest.toString('hex'), sealedAt.toISOString()];
  return Buffer.from(JSON.stringify(['cartstream log seal', 1, ...values]), 'utf8');
}

const FORM = 'cp1.';
const bytes = (count: number) =>
  z
    .string()
    .transform((text) => Buffer.from(text, 'base64url'))
    .refine((it) => it.length === count);
const tokenContent = z.tuple([
  z.string(),
  z.number().int().min(1),
  bytes(HASH_BYTES),
  bytes(HASH_BYTES),
  z.iso.datetime().transform((text) => new Date(text)),
  z.string(),
  bytes(64),
]);

/** A checkpoint as a line of text, to be kept anywhere. */
export function checkpointToken({ epoch, position, sealedAt, keyId, ...binary }: Checkpoint): string {
  const [hash, digest, signature] = [binary.hash, binary.digest, binary.signature].map((it) =>
    it.toString('base64url'),
  );
  const content = [epoch, position, hash, digest, sealedAt.toISOString(), keyId, signature];
  return FORM + Buffer.from(JSON.stringify(content)).toString('base64url');
}

/** @returns undefined for a text that is no checkpoint */
export function parseCheckpoint(token: string): Checkpoint | undefined {
  if (!token.startsWith(FORM)) return undefined;
  try {
    const text = Buffer.from(token.slice(FORM.length), 'base64url').toString('utf8');
    const [epoch, position, hash, digest, sealedAt, keyId, signature] = tokenContent.parse(JSON.parse(text));
    return { epoch, position, hash, digest, sealedAt, keyId, signature };
  } catch {
    return undefined;
  }
}
