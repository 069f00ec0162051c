import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { ReadRows } from './read-table.ts';
import { type ClaimedRebuild, claimOf, STILL_CLAIMED } from './rebuild-store.ts';

const counted = z.tuple([z.object({ count: z.number() })]);

/** The table that a rebuild fills. Rows and how far the rebuild has come are written in one statement. */
export class ShadowTable<Row> {
  readonly rows: ReadRows<Row>;
  readonly #client: SqlClient;
  readonly #save: string;

  constructor(rows: ReadRows<Row>, client: SqlClient) {
    this.rows = rows;
    this.#client = client;
    // Nor does this commit wait for the disk: after a crash the table and the position are older, together.
    this.#save = `
      WITH moved AS (
        UPDATE rebuilds SET position = $5::bigint, total = greatest(total, $6::bigint), attempts = 0
        WHERE ${STILL_CLAIMED} AND position = $4::bigint AND set_config('synchronous_commit', 'off', true) = 'off'
        RETURNING 1
      ), written AS (${rows.writtenFrom('moved', 7)})
      SELECT count(*)::int AS count FROM moved`;
  }

  /**
   * @param from where the rebuild stands, if nobody else has taken it on
   * @param head the end of the log, as far as it is known
   * @returns false, and nothing was written, where it does not: it was cancelled, or is another node's
   */
  async save(
    rows: readonly Row[],
    claimed: ClaimedRebuild,
    { from, to, head }: { readonly from: number; readonly to: number; readonly head: number },
  ): Promise<boolean> {
    const encoded = await this.rows.encodeAll(rows);
    const answer = await this.#client.query(this.#save, ...claimOf(claimed), from, to, head, encoded);
    return counted.parse(answer)[0].count > 0;
  }
}
