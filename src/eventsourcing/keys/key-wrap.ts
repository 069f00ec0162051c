import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

export const KEY_BYTES = 32;
const CIPHER = 'aes-256-gcm';
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** A key for one purpose, made from another: HKDF with SHA-256 (RFC 5869). */
export function derivedKey(from: Buffer, purpose: string): KeyObject {
  return createSecretKey(Buffer.from(hkdfSync('sha256', from, '', `cartstream ${purpose}`, KEY_BYTES)));
}

/** Wraps the keys of subjects with the master key, which is never stored. */
export class KeyWrap {
  /** Tells one master key from another, and tells nothing else of it. */
  readonly masterKeyId: string;
  readonly #key: KeyObject;

  /** @param masterKey 32 bytes */
  constructor(masterKey: Buffer) {
    if (masterKey.length !== KEY_BYTES) throw new Error(`A master key has ${KEY_BYTES} bytes.`);
    this.#key = derivedKey(masterKey, 'wrap');
    this.masterKeyId = createHash('sha256').update(derivedKey(masterKey, 'id').export()).digest('hex').slice(0, 16);
  }

  /** Nonce, tag and ciphertext in base64: for this subject alone. */
  wrap(key: Buffer, subject: string): string {
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(`subject key ${subject}`));
    const text = Buffer.concat([cipher.update(key), cipher.final()]);
    return Buffer.concat([nonce, cipher.getAuthTag(), text]).toString('base64');
  }

  /** @returns undefined where it was changed, is another subject's, or was wrapped with another master key */
  unwrap(wrapped: string, subject: string): Buffer | undefined {
    const body = Buffer.from(wrapped, 'base64');
    if (body.length !== NONCE_BYTES + TAG_BYTES + KEY_BYTES) return undefined;
    try {
      const decipher = createDecipheriv(CIPHER, this.#key, body.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES });
      decipher.setAAD(Buffer.from(`subject key ${subject}`));
      decipher.setAuthTag(body.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES));
      return Buffer.concat([decipher.update(body.subarray(NONCE_BYTES + TAG_BYTES)), decipher.final()]);
    } catch {
      return undefined;
    }
  }
}
