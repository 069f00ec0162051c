import { idCausedBy } from '../../eventsourcing/processes/effect-work.ts';

/** Crockford's alphabet: no letters that are taken for digits. */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
const HASHED_HEX_DIGITS = 15;

/**
 * What people call an order: `7K3M-9QXA-2T0B`. 60 bits of a hash of its id: of a million orders, the chance that any two
 * share a number is below one in a million, nobody can choose an id for its number, and the number does not tell the id.
 */
export function orderNumberOf(orderId: string): string {
  const hash = idCausedBy('order number', orderId).replaceAll('-', '');
  const bits = BigInt(`0x${hash.slice(-HASHED_HEX_DIGITS)}`);
  const symbols = Array.from({ length: 12 }, (_, at) => ALPHABET[Number((bits >> BigInt(5 * (11 - at))) & 31n)]);
  return [0, 4, 8].map((from) => symbols.slice(from, from + 4).join('')).join('-');
}
