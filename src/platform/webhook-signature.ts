import { createHmac, timingSafeEqual } from 'node:crypto';

/** A webhook that is not believed: its signature is missing, wrong or too old, or its body says nothing. */
export class SignatureRefused extends Error {
  override readonly name = 'SignatureRefused';
}

/** How far the clock of the sender may be from ours. What was recorded and is sent again later than that is refused. */
export const WEBHOOK_TOLERANCE_S = 300;

/** The header of a body that is sent now: `t=<seconds since 1970>,v1=<HMAC-SHA256 of "t.body", in hex>`. */
export function signWebhook(secret: string, body: string | Buffer, now: Date): string {
  const t = String(Math.floor(now.getTime() / 1_000));
  return `t=${t},v1=${digestOf(secret, t, body).toString('hex')}`;
}

/**
 * Holds where somebody who knows the secret signed this very body, a short while ago. Compares in a time that does not
 * tell how much of a guess was right.
 * @throws {SignatureRefused}
 */
export function checkWebhookSignature(
  secret: string,
  header: string | readonly string[] | undefined,
  body: Buffer,
  now: Date,
  toleranceSeconds = WEBHOOK_TOLERANCE_S,
): void {
  if (typeof header !== 'string') throw new SignatureRefused('The webhook has no signature.');
  const parts = header.split(',').map((it) => it.trim());
  const t = parts.find((it) => it.startsWith('t='))?.slice(2) ?? '';
  if (!/^\d{1,12}$/.test(t)) throw new SignatureRefused('The signature of the webhook names no time.');
  const expected = digestOf(secret, t, body);
  // Several signatures: the sender is changing its secret.
  const given = parts.filter((it) => it.startsWith('v1=')).map((it) => Buffer.from(it.slice(3), 'hex'));
  if (!given.some((it) => it.length === expected.length && timingSafeEqual(it, expected))) {
    throw new SignatureRefused('The signature of the webhook is wrong.');
  }
  if (Math.abs(now.getTime() / 1_000 - Number(t)) > toleranceSeconds) {
    throw new SignatureRefused('The webhook was signed too long ago.');
  }
}

function digestOf(secret: string, t: string, body: string | Buffer): Buffer {
  return createHmac('sha256', secret).update(`${t}.`).update(body).digest();
}
