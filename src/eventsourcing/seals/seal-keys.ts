import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto';
import { derivedKey, KeyWrap } from '../keys/key-wrap.ts';

/** What stands before the 32 bytes of an Ed25519 key in PKCS #8 (RFC 8410). */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex');

/**
 * Signs seals of the log, and checks them: Ed25519, with a key that is made from the master key, so that there is no further
 * secret to keep, and none in the database.
 */
export class SealKey {
  /** Of the master key that it is made from. */
  readonly id: string;
  readonly #private: KeyObject;
  readonly #public: KeyObject;

  /** @param masterKey 32 bytes */
  constructor(masterKey: Buffer) {
    this.id = new KeyWrap(masterKey).masterKeyId;
    const seed = derivedKey(masterKey, 'log seals').export();
    this.#private = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' });
    this.#public = createPublicKey(this.#private);
  }

  sign(message: Buffer): Buffer {
    return sign(null, message, this.#private);
  }

  verify(message: Buffer, signature: Buffer): boolean {
    return verify(null, message, this.#public, signature);
  }
}

/** The keys of all master keys that are known here: what one of them signed counts, the store's own signs. */
export class SealKeys {
  readonly #keys: ReadonlyMap<string, SealKey>;

  constructor(masterKey: Buffer, others: readonly Buffer[] = []) {
    this.#keys = new Map([masterKey, ...others].map((it) => new SealKey(it)).map((key) => [key.id, key]));
  }

  /** @param id of the master key; undefined for one that is not known here */
  find(id: string): SealKey | undefined {
    return this.#keys.get(id);
  }
}
