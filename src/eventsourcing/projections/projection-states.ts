import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import type { LogFollower } from '../followers/log-follower.ts';
import type { LogTail } from '../log/log-tail.ts';
import type { RebuildRow, RebuildStore } from './rebuild-store.ts';

export const PROJECTION_STATUSES = ['LIVE', 'CATCHING_UP', 'PARKED', 'STOPPED'] as const;
export type ProjectionStatus = (typeof PROJECTION_STATUSES)[number];

/** Further behind than what a follower takes at once, it is catching up. */
const MAX_LAG = 1_000;

/** How a projection stands. */
export interface ProjectionState {
  readonly name: string;
  readonly status: ProjectionStatus;
  /** The version of the code that its rows were folded by. */
  readonly version: number;
  readonly position: number;
  /** Behind the end of the log, in events. */
  readonly lag: number;
  /** The rebuild that was begun last, whatever became of it. */
  readonly rebuild: RebuildRow | null;
}

const FIND = `
  SELECT name, rows_version AS version, is_alive(owner) AS "isOwned", EXISTS (
    SELECT FROM dead_letters WHERE dead_letters.source = checkpoints.name AND status = 'OPEN'
  ) AS "isParked"
  FROM checkpoints WHERE name = ANY ($1::text[])`;

const checkpointRow = z.object({ name: z.string(), version: z.number(), isOwned: z.boolean(), isParked: z.boolean() });

/** Tells how the projections stand that this program has. */
export class ProjectionStates {
  readonly #client: SqlClient;
  readonly #tail: LogTail;
  readonly #rebuilds: RebuildStore;
  /** By the projections' names. */
  readonly #followers: ReadonlyMap<string, LogFollower>;

  constructor(client: SqlClient, tail: LogTail, rebuilds: RebuildStore, followers: ReadonlyMap<string, LogFollower>) {
    this.#client = client;
    this.#tail = tail;
    this.#rebuilds = rebuilds;
    this.#followers = followers;
  }

  /** The names of all projections, sorted. */
  get names(): readonly string[] {
    return [...this.#followers.keys()].sort();
  }

  /** How these stand, by name; a name that no projection has is left out. */
  async find(names: readonly string[] = this.names): Promise<Map<string, ProjectionState>> {
    const wanted = names.flatMap((name) => {
      const follower = this.#followers.get(name);
      return follower === undefined ? [] : [{ name, follower }];
    });
    const followerNames = wanted.map(({ follower }) => follower.task.name);
    if (followerNames.length === 0) return new Map();
    const [checkpoints, rebuilds] = await Promise.all([
      this.#client.query(FIND, followerNames),
      this.#rebuilds.find(followerNames),
    ]);
    const byName = new Map(checkpoints.map((row) => checkpointRow.parse(row)).map((row) => [row.name, row]));
    return new Map(
      wanted.map(({ name, follower }) => {
        const { position } = follower;
        const lag = Math.max(this.#tail.head - position, 0);
        const checkpoint = byName.get(follower.task.name);
        const version = checkpoint?.version ?? follower.task.version;
        const rebuild = rebuilds.get(follower.task.name) ?? null;
        return [name, { name, status: statusOf(checkpoint, lag), version, position, lag, rebuild }];
      }),
    );
  }
}

function statusOf(checkpoint: z.output<typeof checkpointRow> | undefined, lag: number): ProjectionStatus {
  if (checkpoint?.isOwned !== true) return 'STOPPED';
  if (checkpoint.isParked) return 'PARKED';
  return lag > MAX_LAG ? 'CATCHING_UP' : 'LIVE';
}
