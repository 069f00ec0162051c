import type { SqlClient } from '../../platform/database.ts';
import type { RecordedEvent } from './event.ts';
import { EVENT_COLUMNS, type EventLog } from './event-log.ts';

const READ = `
  SELECT ${EVENT_COLUMNS} FROM events WHERE position > $1 AND position <= $2 AND type = ANY ($3::text[]) ORDER BY position`;

/** The events of some types, a stretch of the log at a time: others are not sent by the database at all. */
export class TypedEvents {
  readonly #client: SqlClient;
  readonly #log: EventLog;
  readonly #types: readonly string[];

  constructor(client: SqlClient, log: EventLog, types: readonly string[]) {
    this.#client = client;
    this.#log = log;
    this.#types = types;
  }

  /** Those with positions in (after, upTo], in order. */
  async read(after: number, upTo: number): Promise<RecordedEvent[]> {
    return this.#log.parse(await this.#client.query(READ, after, upTo, this.#types));
  }
}
