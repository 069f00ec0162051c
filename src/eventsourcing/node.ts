import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import type { SqlClient } from '../platform/database.ts';
import { isDatabaseAway } from '../platform/failures.ts';
import type { Ids } from '../platform/ids.ts';
import type { Logger } from '../platform/logger.ts';
import { type CheckpointRow, checkpointRow } from './followers/checkpoints.ts';
import type { LogFollower } from './followers/log-follower.ts';

const JOIN = `
  INSERT INTO nodes (id, expires_at, master_key_ids)
  VALUES ($1::uuid, clock_timestamp() + make_interval(secs => $2::float8), $3::text[])`;
const ALONE = 'DELETE FROM nodes';
const KEEP_ALIVE = 'SELECT keep_alive($1::uuid, $2::float8) AS alive';
const SWEEP = 'SELECT sweep_nodes()::text';
const OWN = 'SELECT * FROM own_followers($1::uuid, $2::jsonb)';
const LEAVE = 'DELETE FROM nodes WHERE id = $1::uuid';
const EPOCH = 'SELECT head.epoch FROM log_head AS head WHERE head.id = 1';
const TELL = `SELECT tell('nodes')::text`;

const epochRow = z.tuple([z.object({ epoch: z.string() })]);
const aliveRow = z.tuple([z.object({ alive: z.boolean() })]);
/** An embedded store is this process's alone for as long as it runs: 100 years. */
const FOR_EVER_SECONDS = 3_155_760_000;

export interface NodeParts {
  readonly client: SqlClient;
  readonly ids: Ids;
  readonly logger: Logger;
  readonly followers: readonly LogFollower[];
  /** No other process can reach the store. */
  readonly isAlone: boolean;
  /** Of the master keys that it knows: the store may go over to one that all nodes know. */
  readonly masterKeyIds: readonly string[];
  /** Which life of the store it began in. */
  readonly epoch: string;
  /** The store has begun another life: what is in memory is of the one before. */
  onReplaced(): void;
  /** How long it is taken for alive without a word, in seconds. */
  readonly leaseSeconds: number;
}

/**
 * This server process among those on the same store. It says that it is alive; as long as it does, followers and queued
 * commands that carry its id are its own, and nobody else's writes to them go through. If it was silent for too long, for
 * whatever reason, it has lost all of them, and goes on as another node.
 */
export class Node {
  readonly #parts: NodeParts;
  readonly #stopped = new AbortController();
  #id: string | undefined;
  #ticking: Promise<void> | undefined;
  #again = false;
  #beating: Promise<void> = Promise.resolve();
  #wasAway = false;

  constructor(parts: NodeParts) {
    this.#parts = parts;
  }

  /** What its claims are made with; undefined while it has no lease. */
  get id(): string | undefined {
    return this.#id;
  }

  async start(): Promise<void> {
    const { client, isAlone, followers } = this.#parts;
    // Whoever had an embedded store before is gone, however it ended.
    if (isAlone) await client.query(ALONE);
    await this.#join();
    await client.query(SWEEP);
    const rows = await this.#own();
    await Promise.all(followers.map((follower) => follower.start(rowOf(rows, follower), this.#id)));
    if (!isAlone) this.#beating = this.#beat();
  }

  /** Looks now how followers stand, and whether something is left to be taken over. Calls at the same time share a look. */
  refresh(): void {
    if (this.#stopped.signal.aborted) return;
    this.#again = true;
    this.#ticking ??= this.#tick().finally(() => {
      this.#ticking = undefined;
    });
  }

  /** Stops saying that it is alive. What it owned must have been given back before. */
  async stop(): Promise<void> {
    this.#stopped.abort();
    await Promise.all([this.#beating, this.#ticking]);
    if (this.#id === undefined) return;
    await this.#parts.client.query(LEAVE, this.#id);
    await this.#parts.client.query(TELL);
  }

  async #beat(): Promise<void> {
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await delay((this.#parts.leaseSeconds * 1_000) / 4, undefined, { signal }).catch(() => {});
      this.refresh();
      await this.#ticking;
    }
  }

  async #tick(): Promise<void> {
    while (this.#again && !this.#stopped.signal.aborted) {
      this.#again = false;
      try {
        await this.#look();
        this.#wasAway = false;
      } catch (error) {
        this.#wasAway = true;
        if (!isDatabaseAway(error)) this.#parts.logger.error({ err: error }, 'the lease could not be kept');
        await delay(100, undefined, { signal: this.#stopped.signal }).catch(() => {});
        this.#again = true;
      }
    }
  }

  async #look(): Promise<void> {
    const { client, isAlone, leaseSeconds, followers, logger } = this.#parts;
    if (!isAlone) {
      const [{ epoch }] = epochRow.parse(await client.query(EPOCH));
      if (epoch !== this.#parts.epoch) return this.#parts.onReplaced();
      const [{ alive }] = aliveRow.parse(await client.query(KEEP_ALIVE, this.#id, leaseSeconds));
      if (!alive) {
        logger.warn({ node: this.#id }, 'this process was silent for too long: others have taken over what it did');
        await this.#join();
      }
      await client.query(SWEEP);
    }
    const rows = await this.#own();
    // If the database crashed, what was committed without waiting for the disk may be gone.
    if (this.#wasAway) for (const follower of followers) follower.doubt();
    for (const follower of followers) follower.update(rowOf(rows, follower), this.#id);
  }

  async #join(): Promise<void> {
    const { client, ids, isAlone, leaseSeconds, masterKeyIds } = this.#parts;
    const id = ids.ordered();
    await client.query(JOIN, id, isAlone ? FOR_EVER_SECONDS : leaseSeconds, masterKeyIds);
    this.#id = id;
  }

  async #own(): Promise<Map<string, CheckpointRow>> {
    const { client, followers } = this.#parts;
    const wanted = followers.map(({ task: { name, version } }) => ({ name, version }));
    const rows = await client.query(OWN, this.#id, JSON.stringify(wanted));
    return new Map(rows.map((row) => checkpointRow.parse(row)).map((row) => [row.name, row]));
  }
}

function rowOf(rows: ReadonlyMap<string, CheckpointRow>, { task: { name } }: LogFollower): CheckpointRow {
  const row = rows.get(name);
  if (row === undefined) throw new Error(`There is no checkpoint of ${name}.`);
  return row;
}
