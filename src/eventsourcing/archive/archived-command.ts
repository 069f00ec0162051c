import { promisify } from 'node:util';
import { deflateRaw, inflateRaw } from 'node:zlib';
import { z } from 'zod';

const deflated = promisify(deflateRaw);
const inflated = promisify(inflateRaw);

/**
 * What records have in common, the most common last: a record is short, and compresses well only with something to
 * refer to. It must stay as it is for good, since what was written with it is read with it; another one is another format.
 */
const DICTIONARY = Buffer.from(
  '"reason":"name":"email":"city":"country":"shippingAddress":"paymentId":"refundId":"orderId":"customerId":"amount":{"currency":"GBP","amountMinor":"notificationId":"lines":[{"sku":"quantity":1,"cartId":"instanceId":"position":"rejection":{"code":"NOT_FOUND","message":"ILLEGAL_STATE","INSUFFICIENT_STOCK""issuer_type":"checkout","issuer_id":"due_at":"deadline":"error":"expected_version":null,"secrets":null,"version":1,"attempts":1,"causation_id":null,"rejection":null,"error":null,"issuer_type":null,"issuer_id":null,"due_at":null,"deadline":null,"aggregate_type":"order","aggregate_type":"payment","aggregate_type":"cart","input":{"fingerprint":"finished_at":"2026-11-2T+00:00"}',
);
/** The first byte of a record: which dictionary it needs. */
const FORMAT = Buffer.from([1]);

/** A command's record, which is JSON, as it is kept. */
export async function packRecord(record: string): Promise<Buffer> {
  return Buffer.concat([FORMAT, await deflated(Buffer.from(record), { dictionary: DICTIONARY })]);
}

const jsonObject = z.record(z.string(), z.unknown());

/** @returns the columns of the command's row that are not in columns of the archive, by their names */
export async function unpackRecord(packed: Uint8Array): Promise<Record<string, unknown>> {
  if (packed[0] !== FORMAT[0]) throw new Error('An archived command is in a format that this version does not know.');
  const record = await inflated(packed.subarray(1), { dictionary: DICTIONARY });
  return jsonObject.parse(JSON.parse(record.toString('utf8')));
}
