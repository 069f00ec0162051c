import { z } from 'zod';
import type { Database } from '../../platform/database.ts';
import { column } from '../projections/read-table.ts';

const READ = `
  SELECT h.epoch, h.position, s.paused_at AS "pausedAt", s.pause_reason AS "pauseReason"
  FROM log_head AS h LEFT JOIN store_state AS s ON s.id = 1 WHERE h.id = 1`;
const RESUME = 'SELECT resume_store() AS resumed';

const stateRow = z.tuple([
  z.object({
    epoch: z.string(),
    position: column.safeInt(),
    pausedAt: z.date().nullable(),
    pauseReason: z.string().nullable(),
  }),
]);
const resumedRow = z.tuple([z.object({ resumed: z.boolean() })]);

/** How a store stands as a whole. */
export type StoreStanding = z.output<typeof stateRow>[0];

/** What operators do with a store as a whole. */
export class StoreState {
  readonly #database: Database;
  readonly #onResumed: () => void;

  /** @param onResumed called in this process; others are told by the database */
  constructor(database: Database, onResumed: () => void = () => {}) {
    this.#database = database;
    this.#onResumed = onResumed;
  }

  async read(): Promise<StoreStanding> {
    return stateRow.parse(await this.#database.derived.query(READ))[0];
  }

  /** What is queued may run again. @returns false where it was not paused */
  async resume(): Promise<boolean> {
    const [{ resumed }] = resumedRow.parse(await this.#database.derived.query(RESUME));
    this.#onResumed();
    return resumed;
  }

  /**
   * Copies an embedded store into a folder that is there for it.
   * @returns for how long statements waited, in milliseconds; undefined of a PostgreSQL server, which is read as it is
   */
  async copyAs(name: string): Promise<number | undefined> {
    return this.#database.copyAs?.(name);
  }
}
