import { createHash } from 'node:crypto';

/** The id that workers/fill.ts gives to a copy: random to look at, so that indexes are as scattered as real ones. */
export function copiedCartId(copyNumber: number): string {
  const hex = createHash('md5').update(`cart ${copyNumber}`).digest('hex');
  const uuid = `${hex.slice(0, 12)}4${hex.slice(13, 16)}8${hex.slice(17)}`;
  return uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
