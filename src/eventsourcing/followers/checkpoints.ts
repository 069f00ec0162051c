import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { JsonObject } from '../json.ts';

/** How a follower's checkpoint stands. */
export interface CheckpointRow {
  readonly name: string;
  readonly version: number;
  readonly position: number;
  /** The node that it belongs to. */
  readonly owner: string | null;
  /** Beyond `position`, where its owner was in the middle of something. */
  readonly attempted: number;
  readonly parkedChanges: number;
  /** The version of the code that all that was made of events was made by; lower than `version` until it is replaced. */
  readonly rowsVersion: number;
  /** Rises whenever all that was made of events is replaced. */
  readonly generation: number;
}

/** From where to where a checkpoint moves, for whom, and what is parked with it. */
export interface CheckpointMove {
  readonly name: string;
  readonly version: number;
  readonly owner: string;
  readonly from: number;
  readonly to: number;
  readonly parking: ParkingChange | undefined;
  readonly now: Date;
}

export interface ParkingChange {
  readonly parked?: readonly { readonly position: number; readonly lane: string }[];
  readonly unparked?: readonly number[];
  readonly letter?: JsonObject;
}

/** A checkpoint as `own_followers` gives it. */
export const checkpointRow = z
  .object({
    name: z.string(),
    version: z.number(),
    position: z.coerce.number().int(),
    owner: z.string().nullable(),
    attempted: z.coerce.number().int(),
    parked_changes: z.number(),
    rows_version: z.number(),
    generation: z.number(),
  })
  .transform(
    ({ parked_changes: parkedChanges, rows_version: rowsVersion, ...row }): CheckpointRow => ({
      ...row,
      parkedChanges,
      rowsVersion,
    }),
  );

const ATTEMPT = `
  UPDATE checkpoints
  SET attempts = CASE WHEN attempted = $4 THEN attempts + 1 ELSE 1 END, attempted = $4
  WHERE name = $1 AND version = $2 AND owner = $3::uuid RETURNING attempts`;
const RELEASE = `
  UPDATE checkpoints SET owner = NULL, attempted = -1, attempts = 0 WHERE name = $1 AND version = $2 AND owner = $3::uuid`;
const MOVE = `
  UPDATE checkpoints SET position = $5, updated_at = now()
  WHERE name = $1 AND version = $2 AND owner = $3::uuid AND position = $4 RETURNING 1`;

const attemptsRow = z.array(z.object({ attempts: z.number() }));

/** The checkpoint of one follower. Every change of it is its owner's alone. */
export class Checkpoints {
  readonly #client: SqlClient;
  readonly #key: readonly [name: string, version: number];

  constructor(client: SqlClient, name: string, version: number) {
    this.#client = client;
    this.#key = [name, version];
  }

  /**
   * Counts an attempt to handle the event at a position, or to go on from it.
   * @returns which it is; undefined if the checkpoint is another's now
   */
  async attempt(owner: string, position: number): Promise<number | undefined> {
    return attemptsRow.parse(await this.#client.query(ATTEMPT, ...this.#key, owner, position))[0]?.attempts;
  }

  async move(owner: string, from: number, to: number): Promise<boolean> {
    return (await this.#client.query(MOVE, ...this.#key, owner, from, to)).length > 0;
  }

  async release(owner: string): Promise<void> {
    await this.#client.query(RELEASE, ...this.#key, owner);
  }
}
