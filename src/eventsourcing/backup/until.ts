import type { Queries } from './stored-tables.ts';

/** A point in the life of a store. */
export type Until = { readonly position: number } | { readonly at: Date };

export interface WentBack {
  /** For whoever restores it, in sentences. */
  readonly said: readonly string[];
}

export async function goBackTo(_client: Queries, _until: Until): Promise<WentBack> {
  return { said: [] };
}
