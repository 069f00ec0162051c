import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { failureText } from '../failure-text.ts';
import { column } from './read-table.ts';

export const REBUILD_STATUSES = ['RUNNING', 'COMPARING', 'SWAPPED', 'CANCELLED', 'FAILED'] as const;
export type RebuildStatus = (typeof REBUILD_STATUSES)[number];

/** The rebuild of a projection that was begun last: how far it has come, or what became of it. */
export interface RebuildRow {
  /** Of the projection's checkpoint: `projection:cart.carts`. */
  readonly name: string;
  /** Which rebuild of this projection it is, counted from 1. */
  readonly run: number;
  readonly status: RebuildStatus;
  /** Every event up to here is in the table that it fills. */
  readonly position: number;
  /** The end of the log, as far as it was seen. */
  readonly total: number;
  /** The version of the code that it folds with; null until it has begun. */
  readonly toVersion: number | null;
  /** The table that it fills; null before that is there, and after it is gone. */
  readonly shadow: string | null;
  /** How often it was taken on since it last got on. */
  readonly attempts: number;
  /** How many rows differed from the live ones; null until they were compared. */
  readonly differences: number | null;
  /** The first keys of those. */
  readonly differentKeys: readonly string[];
  /** Why it failed. */
  readonly error: string | null;
  readonly startedAt: Date;
  readonly finishedAt: Date | null;
}

/** A rebuild that a node has taken on. What it writes goes through only as long as this holds. */
export interface ClaimedRebuild extends RebuildRow {
  readonly node: string;
}

/** What a comparison of the rebuilt rows with the live ones came to. */
export interface Differences {
  readonly count: number;
  readonly keys: readonly string[];
}

/** Where both tables stand when they are swapped. */
export interface SwapAt {
  /** Where the stored checkpoint is. */
  readonly from: number;
  readonly to: number;
  readonly version: number;
  readonly table: string;
}

export type SwapOutcome = 'swapped' | 'busy' | 'lost';

/** The part of a statement that finds a claimed rebuild: $1 to $3 are `claimOf`. */
export const STILL_CLAIMED = `name = $1 AND run = $2::int AND owner = $3::uuid AND status IN ('RUNNING', 'COMPARING')`;

export function claimOf({ name, run, node }: ClaimedRebuild): [string, number, string] {
  return [name, run, node];
}

const COLUMNS = `name, run, status, position, total, to_version AS "toVersion", shadow, attempts, differences,
  coalesce(different_keys, '{}') AS "differentKeys", error, started_at AS "startedAt", finished_at AS "finishedAt"`;
const FIND = `SELECT ${COLUMNS} FROM rebuilds WHERE name = ANY ($1::text[])`;
const OPEN = `
  SELECT ${COLUMNS} FROM rebuilds WHERE name = ANY ($1::text[]) AND (status IN ('RUNNING', 'COMPARING') OR shadow IS NOT NULL)
  ORDER BY started_at, name`;
const CLAIM = `SELECT ${COLUMNS} FROM claim_rebuild($1, $2::int, $3::uuid)`;
const BEGIN = 'SELECT begin_rebuild($1, $2::int, $3::uuid, $4::int, $5, $6) AS done';
const COMPARE = `UPDATE rebuilds SET status = 'COMPARING' WHERE ${STILL_CLAIMED} RETURNING true AS done`;
const SWAP = `
  SELECT swap_rebuild($1, $2::int, $3::uuid, $4::int, $5::bigint, $6::bigint, $7, $8, $9::bigint, $10::text[], $11::timestamptz)
    AS outcome`;
const FAIL = `
  UPDATE rebuilds SET status = 'FAILED', error = $4, finished_at = $5::timestamptz, owner = NULL
  WHERE ${STILL_CLAIMED} RETURNING tell('rebuild')::text`;
const GIVE_BACK = `
  UPDATE rebuilds SET owner = NULL, attempts = greatest(attempts - 1, 0) WHERE ${STILL_CLAIMED}
  RETURNING tell('rebuild')::text`;
const CLEAR = 'SELECT clear_rebuild($1)::text';
const DROPPED = `SELECT subject FROM dead_letters WHERE source = $1 AND status = 'DROPPED'`;

export const rebuildRow = z.object({
  name: z.string(),
  run: z.number(),
  status: z.enum(REBUILD_STATUSES),
  position: column.safeInt(),
  total: column.safeInt(),
  toVersion: z.number().nullable(),
  shadow: z.string().nullable(),
  attempts: z.number(),
  differences: column.safeInt().nullable(),
  differentKeys: z.array(z.string()),
  error: z.string().nullable(),
  startedAt: z.date(),
  finishedAt: z.date().nullable(),
}) satisfies z.ZodType<RebuildRow>;
const doneRows = z.array(z.object({ done: z.boolean() }));
const subjectRow = z.object({ subject: z.string() });
const outcomeRow = z.tuple([z.object({ outcome: z.enum(['swapped', 'busy', 'lost']) })]);

/** Rebuilds of projections, as they are stored. What a node does to one goes through only while it has taken it on. */
export class RebuildStore {
  readonly #client: SqlClient;

  constructor(client: SqlClient) {
    this.#client = client;
  }

  /** The rebuild of each of these checkpoints that was begun last. */
  async find(names: readonly string[]): Promise<Map<string, RebuildRow>> {
    return new Map((await this.#rows(FIND, names)).map((it) => [it.name, it]));
  }

  /** What is under way of these, and what has ended and left its table behind; what began first comes first. */
  open(names: readonly string[]): Promise<RebuildRow[]> {
    return this.#rows(OPEN, names);
  }

  /**
   * Takes a rebuild on, also where this node had done so before.
   * @param version of the projection's code here
   * @returns undefined where it is not for this node: it does not own the checkpoint, or nothing is under way
   */
  async claim(name: string, version: number, node: string): Promise<ClaimedRebuild | undefined> {
    const [row] = await this.#rows(CLAIM, name, version, node);
    return row && { ...row, node };
  }

  /** Makes the empty table that is to be filled. @returns false where it is not this node's any more */
  async begin(claimed: ClaimedRebuild, version: number, table: string, shadow: string): Promise<boolean> {
    const answer = await this.#client.query(BEGIN, ...claimOf(claimed), version, table, shadow);
    return doneRows.parse(answer)[0]?.done === true;
  }

  /** Says that the comparison has begun. @returns false where it is not this node's any more */
  async compare(claimed: ClaimedRebuild): Promise<boolean> {
    return (await this.#client.query(COMPARE, ...claimOf(claimed))).length > 0;
  }

  /** Has the database look at what is in a table. */
  async analyse(table: string): Promise<void> {
    await this.#client.prisma.$executeRawUnsafe(`ANALYZE ${table}`);
  }

  /** Puts the filled table in the place of the live one, and moves the checkpoint, all at once. */
  async swap(
    claimed: ClaimedRebuild,
    shadow: string,
    at: SwapAt,
    { count, keys }: Differences,
    now: Date,
  ): Promise<SwapOutcome> {
    const { from, to, version, table } = at;
    const given = [version, from, to, table, shadow, count, keys, now];
    return outcomeRow.parse(await this.#client.query(SWAP, ...claimOf(claimed), ...given))[0].outcome;
  }

  async fail(claimed: ClaimedRebuild, error: unknown, now: Date): Promise<void> {
    await this.#client.query(FAIL, ...claimOf(claimed), failureText(error).error, now);
  }

  /** Leaves it to whichever node takes it on next. */
  async giveBack(claimed: ClaimedRebuild): Promise<void> {
    await this.#client.query(GIVE_BACK, ...claimOf(claimed));
  }

  /** Drops the table of a rebuild that has ended without being swapped; later, if somebody still writes to it. */
  async clear(name: string): Promise<void> {
    await this.#client.query(CLEAR, name);
  }

  /** The ids of the events that operators have given up to have handled. */
  async droppedOf(source: string): Promise<Set<string>> {
    const rows = await this.#client.query(DROPPED, source);
    return new Set(rows.map((row) => subjectRow.parse(row).subject));
  }

  async #rows(sql: string, ...parameters: unknown[]): Promise<RebuildRow[]> {
    return (await this.#client.query(sql, ...parameters)).map((row) => rebuildRow.parse(row));
  }
}
