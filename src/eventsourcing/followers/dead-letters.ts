import { z } from 'zod';
import { isColumnText, isUuid } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { Conditions, type KeysetOrder, type KeysetPage, keysetClauses } from '../../platform/keyset.ts';
import type { Json } from '../json.ts';
import type { Opening, StorageCodec } from '../log/codec.ts';
import { column } from '../projections/read-table.ts';

export const DEAD_LETTER_STATUSES = ['OPEN', 'RETRIED', 'DROPPED'] as const;
export type DeadLetterStatus = (typeof DEAD_LETTER_STATUSES)[number];

/** What failed for good, or until an operator had it tried again. Its stack stays in the table. */
export interface DeadLetter {
  readonly id: string;
  /** `command`, `process:<name>` or `projection:<name>`. */
  readonly source: string;
  /** The id of the command or of the event. */
  readonly subject: string;
  /** What waits behind it shares this. */
  readonly lane: string;
  /** Of the event; null for a command. */
  readonly position: number | null;
  readonly payload: Json;
  /** What it said when it broke. */
  readonly error: string;
  readonly attempts: number;
  /** RETRIED: open again if it fails again. */
  readonly status: DeadLetterStatus;
  /** Why it was dropped. */
  readonly reason: string | null;
  readonly failedAt: Date;
  readonly resolvedAt: Date | null;
}

export interface DeadLetterFilter {
  readonly source?: string | undefined;
}

/** Where a dead letter lies in the list, the newest failure first. */
export type DeadLetterKey = readonly [failedAt: Date, id: string];

export function keyOfDeadLetter({ failedAt, id }: DeadLetter): DeadLetterKey {
  return [failedAt, id];
}

const ORDER: KeysetOrder = {
  columns: [
    { name: 'failed_at', type: 'timestamptz' },
    { name: 'id', type: 'uuid' },
  ],
  descending: true,
};

const SELECT = `
  SELECT id, source, subject, lane, position, payload, error, attempts, status, reason, failed_at AS "failedAt",
         resolved_at AS "resolvedAt"
  FROM dead_letters`;
const FIND = `${SELECT} WHERE id = ANY ($1::uuid[])`;
const OPEN = "status = 'OPEN'";
/** Those that failed first come first. */
const OPEN_OF = `
  SELECT id, failed_at AS "failedAt" FROM dead_letters WHERE source = $1 AND ${OPEN} ORDER BY failed_at, id LIMIT $2::int`;
/** A command holds up its lane of the queue; an event, what its follower parked of the same lane. */
const WAITING_BEHIND = `
  SELECT letter.id, CASE WHEN letter.position IS NULL THEN (
    SELECT count(*)
    FROM command_queue AS dead
    JOIN command_queue AS later ON later.lane = dead.lane AND (later.due_at, later.seq) > (dead.due_at, dead.seq)
    WHERE dead.dead_letter_id = letter.id
  ) ELSE (
    SELECT count(*) FROM parked_events AS parked
    WHERE parked.source = letter.source AND parked.lane = letter.lane AND parked.position <> letter.position
  ) END::int AS waiting
  FROM dead_letters AS letter WHERE letter.id = ANY ($1::uuid[]) AND letter.${OPEN}`;

const letterRow = z.object({
  id: z.string(),
  source: z.string(),
  subject: z.string(),
  lane: z.string(),
  position: column.safeInt().nullable(),
  payload: z.custom<Json>((value) => value !== undefined),
  error: z.string(),
  attempts: z.number(),
  status: z.enum(DEAD_LETTER_STATUSES),
  reason: z.string().nullable(),
  failedAt: z.date(),
  resolvedAt: z.date().nullable(),
});
const commandPayload = z.object({ command: z.string(), input: z.custom<Json>((value) => value !== undefined) });
const failureRow = z.object({ id: z.string(), failedAt: z.date() });
const waitingRow = z.object({ id: z.string(), waiting: z.number() });
const counted = z.tuple([z.object({ count: z.number() })]);

/** Of a command, the payload has its input as it was stored. */
const opening: Opening<DeadLetter> = {
  kind: 'command',
  name: ({ payload }) => commandPayload.safeParse(payload).data?.command ?? '',
  id: ({ subject }) => subject,
  data: ({ payload }) => commandPayload.parse(payload).input,
  opened: (letter, input) => ({ ...letter, payload: { ...commandPayload.parse(letter.payload), input } }),
};

/** Reads what failed for good: commands, and events that a follower of the log could not handle. */
export class DeadLetters {
  readonly #client: SqlClient;
  readonly #codec: StorageCodec;

  constructor(client: SqlClient, codec: StorageCodec) {
    this.#client = client;
    this.#codec = codec;
  }

  /** Whatever became of them. */
  async find(ids: readonly string[]): Promise<Map<string, DeadLetter>> {
    const possible = ids.filter(isUuid);
    if (possible.length === 0) return new Map();
    const rows = await this.#client.query(FIND, possible);
    return new Map((await this.#parse(rows)).map((it) => [it.id, it]));
  }

  /** One page of those that are open, the newest failure first. */
  async list(filter: DeadLetterFilter, page: KeysetPage<DeadLetterKey>): Promise<DeadLetter[]> {
    const conditions = conditionsOf(filter);
    const order = keysetClauses(ORDER, page, conditions);
    const rows = await this.#client.query(`${SELECT} ${conditions.where(OPEN)} ${order}`, ...conditions.parameters);
    return this.#parse(rows);
  }

  /** How many are open. @returns null beyond a limit, where counting on would cost too much */
  async count(filter: DeadLetterFilter, limit: number): Promise<number | null> {
    const conditions = conditionsOf(filter);
    const atMost = `LIMIT ${conditions.placeholder(limit + 1)}::int`;
    const sql = `SELECT count(*)::int AS count FROM (SELECT 1 FROM dead_letters ${conditions.where(OPEN)} ${atMost}) AS found`;
    const [{ count }] = counted.parse(await this.#client.query(sql, ...conditions.parameters));
    return count > limit ? null : count;
  }

  /** What is open of a source: those that failed first, at most so many. */
  async openOf(source: string, limit: number): Promise<Pick<DeadLetter, 'id' | 'failedAt'>[]> {
    if (!isColumnText(source)) return [];
    const rows = await this.#client.query(OPEN_OF, source, limit);
    return rows.map((row) => failureRow.parse(row));
  }

  /** How many commands or events each of these holds up, by id; nothing waits behind one that is not open. */
  async waitingBehind(letters: readonly Pick<DeadLetter, 'id'>[]): Promise<Map<string, number>> {
    if (letters.length === 0) return new Map();
    const ids = letters.map(({ id }) => id);
    const rows = await this.#client.query(WAITING_BEHIND, ids);
    const waiting = new Map(rows.map((row) => waitingRow.parse(row)).map((it) => [it.id, it.waiting]));
    return new Map(ids.map((id) => [id, waiting.get(id) ?? 0]));
  }

  #parse(rows: readonly unknown[]): Promise<DeadLetter[]> {
    return this.#codec.openAll<DeadLetter>(
      rows.map((row) => letterRow.parse(row)),
      opening,
    );
  }
}

function conditionsOf({ source }: DeadLetterFilter): Conditions {
  const conditions = new Conditions();
  if (source === undefined) return conditions;
  if (isColumnText(source)) conditions.add((at) => `source = ${at}::text`, source);
  else conditions.addNever();
  return conditions;
}
