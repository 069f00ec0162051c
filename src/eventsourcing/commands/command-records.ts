import { z } from 'zod';
import { isColumnText, isUuid } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { type KeysetPage, keysetClauses } from '../../platform/keyset.ts';
import { ACTOR_KINDS, type Actor } from '../actor.ts';
import { ArchivedCommands } from '../archive/archived-commands.ts';
import type { Json } from '../json.ts';
import type { Opening, StorageCodec } from '../log/codec.ts';
import { column } from '../projections/read-table.ts';
import { COMMAND_STATUSES, type CommandStatus } from './command.ts';
import {
  archivedConditionsOf,
  archivedPart,
  type CommandFilter,
  conditionsOf,
  isLookedUp,
  orderOf,
  partsOf,
} from './command-filter.ts';
import { type Rejection, storedRejection } from './rejection.ts';

/** All that is known of a command that was accepted, as it stands. */
export interface CommandRecord {
  readonly commandId: string;
  readonly name: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly status: CommandStatus;
  /** How often it was tried. */
  readonly attempts: number;
  readonly actor: Actor;
  /** Null where a personal member was forgotten, and where one was secret. */
  readonly input: Json;
  /** Of a rejected command. */
  readonly rejection: Rejection | null;
  /** What broke, of a command that failed. */
  readonly error: string | null;
  /** The aggregate's version after the command; null as long as it was not decided. */
  readonly version: number | null;
  /** From here on the log holds all that the command did; null if it did nothing. */
  readonly position: number | null;
  /** Its events are so many in a row from here on; null if it had none. */
  readonly firstPosition: number | null;
  readonly eventCount: number;
  readonly submittedAt: Date;
  /** Null: as soon as those before it were done. */
  readonly dueAt: Date | null;
  readonly deadline: Date | null;
  readonly finishedAt: Date | null;
  readonly correlationId: string;
  readonly causationId: string | null;
  /** The process instance that sent it. */
  readonly issuer: { readonly type: string; readonly id: string } | null;
}

/** Where a command lies in a list, newest first. */
export type CommandKey = readonly [submittedAt: Date, commandId: string];

export function keyOfCommand({ submittedAt, commandId }: CommandRecord): CommandKey {
  return [submittedAt, commandId];
}

/** While a command runs from the queue, only the queue knows. */
const COLUMNS = `
  c.command_id AS "commandId", c.name, c.aggregate_type AS "aggregateType", c.aggregate_id AS "aggregateId",
  CASE WHEN q.owner IS NULL THEN c.status ELSE 'RUNNING' END AS status, greatest(c.attempts, q.attempts) AS attempts,
  c.actor_kind AS "actorKind", c.actor_id AS "actorId", c.input, c.rejection, c.error, c.version, c.position,
  c.first_position AS "firstPosition", c.event_count AS "eventCount", c.submitted_at AS "submittedAt",
  c.due_at AS "dueAt", c.deadline, c.finished_at AS "finishedAt", c.correlation_id AS "correlationId",
  c.causation_id AS "causationId", c.issuer_type AS "issuerType", c.issuer_id AS "issuerId"`;
const QUEUE = 'LEFT JOIN command_queue AS q ON q.command_id = c.command_id';
const FIND = `SELECT ${COLUMNS} FROM commands AS c ${QUEUE} WHERE c.command_id = ANY ($1::uuid[])`;
const OF_AGGREGATES = `
  SELECT ${COLUMNS} FROM (
    SELECT few.* FROM unnest($1::text[]) AS wanted(id) CROSS JOIN LATERAL (
      SELECT commands.* FROM commands WHERE commands.aggregate_id = wanted.id
      ORDER BY commands.submitted_at LIMIT $2::int
    ) AS few
  ) AS c ${QUEUE} ORDER BY c.submitted_at, c.command_id`;

const recordRow = z
  .object({
    commandId: z.string(),
    name: z.string(),
    aggregateType: z.string(),
    aggregateId: z.string(),
    status: z.enum(COMMAND_STATUSES),
    attempts: z.number(),
    actorKind: z.enum(ACTOR_KINDS),
    actorId: z.string().nullable(),
    input: z.custom<Json>((value) => value !== undefined),
    rejection: storedRejection.nullable(),
    error: z.string().nullable(),
    version: z.number().nullable(),
    position: column.safeInt().nullable(),
    firstPosition: column.safeInt().nullable(),
    eventCount: z.number(),
    submittedAt: z.date(),
    dueAt: z.date().nullable(),
    deadline: z.date().nullable(),
    finishedAt: z.date().nullable(),
    correlationId: z.string(),
    causationId: z.string().nullable(),
    issuerType: z.string().nullable(),
    issuerId: z.string().nullable(),
  })
  .transform(
    ({ actorKind, actorId, issuerType: type, issuerId: id, ...record }): CommandRecord => ({
      ...record,
      actor: { kind: actorKind, id: actorId },
      issuer: type === null || id === null ? null : { type, id },
    }),
  );
const counted = z.tuple([z.object({ count: z.number() })]);

const opening: Opening<CommandRecord> = {
  kind: 'command',
  name: ({ name }) => name,
  id: ({ commandId }) => commandId,
  data: ({ input }) => input,
  opened: (record, input) => ({ ...record, input }),
};

/** Reads every command that was accepted, whatever became of it. */
export class CommandRecords {
  readonly #client: SqlClient;
  readonly #archive: ArchivedCommands;
  readonly #codec: StorageCodec;

  constructor(client: SqlClient, codec: StorageCodec) {
    this.#client = client;
    this.#archive = new ArchivedCommands(client);
    this.#codec = codec;
  }

  async find(ids: readonly string[]): Promise<Map<string, CommandRecord>> {
    const possible = ids.filter(isUuid);
    if (possible.length === 0) return new Map();
    const rows = parseRecords(await this.#client.query(FIND, possible));
    const found = new Set(rows.map(({ commandId }) => commandId));
    const missing = possible.map((id) => id.toLowerCase()).filter((id) => !found.has(id));
    const records = await this.#open([...rows, ...parseRecords(await this.#archive.find(missing))]);
    return new Map(records.map((it) => [it.commandId, it]));
  }

  /**
   * What a command that is stored was to do, with its secrets: null once it has ended. For whoever runs commands, and for
   * nobody's eyes.
   */
  async inputOf(commandId: string): Promise<Json | undefined> {
    if (!isUuid(commandId)) return undefined;
    const rows = parseRecords(await this.#client.query(FIND, [commandId]));
    const [record] = await this.#open(rows, { withSecrets: true });
    return record?.input;
  }

  /** What a command was to do, for those who have no right to what is personal in it: null is in its place. */
  inputWithoutPersonal({ name, input }: Pick<CommandRecord, 'name' | 'input'>): Json {
    return this.#codec.withoutPersonal(name, input);
  }

  /**
   * One page, newest first. Archived commands are among them where they can be looked up: by their aggregate, what they
   * began with, or who sent them. Lists of all leave them out.
   */
  async list(filter: CommandFilter, page: KeysetPage<CommandKey>): Promise<CommandRecord[]> {
    const conditions = conditionsOf(filter);
    const order = keysetClauses(orderOf(filter), page, conditions);
    const found = partsOf(filter).map(
      (part) => `(SELECT c.* FROM commands AS c ${conditions.where(...part)} ${order})`,
    );
    if (found.length === 0) return [];
    const sql = `SELECT ${COLUMNS} FROM (${found.join(' UNION ALL ')}) AS c ${QUEUE} ${order}`;
    const rows = parseRecords(await this.#client.query(sql, ...conditions.parameters));
    if (!isLookedUp(filter)) return this.#open(rows);
    const wanted = archivedConditionsOf(filter);
    const clauses = keysetClauses(orderOf(filter), page, wanted);
    const archived = parseRecords(await this.#archive.list(`${wanted.where()} ${clauses}`, wanted.parameters));
    const all = oldestFirst([...rows, ...archived]);
    return this.#open((page.inverted ? all : all.reverse()).slice(0, page.limit));
  }

  /** Commands for these aggregates, of each at most so many: oldest first. */
  async ofAggregates(aggregateIds: readonly string[], limitEach: number): Promise<CommandRecord[]> {
    const possible = aggregateIds.filter(isColumnText);
    if (possible.length === 0) return [];
    const rows = parseRecords(await this.#client.query(OF_AGGREGATES, possible, limitEach));
    const archived = parseRecords(await this.#archive.ofAggregates(possible, limitEach));
    const left = new Map(possible.map((id) => [id, limitEach]));
    const first = oldestFirst([...archived, ...rows]).filter(({ aggregateId }) => {
      const room = left.get(aggregateId) ?? 0;
      left.set(aggregateId, room - 1);
      return room > 0;
    });
    return this.#open(first);
  }

  /** How many there are. @returns null beyond a limit, where counting on would cost too much */
  async count(filter: CommandFilter, limit: number): Promise<number | null> {
    const conditions = conditionsOf(filter);
    const atMost = `LIMIT ${conditions.placeholder(limit + 1)}::int`;
    const found = partsOf(filter).map((part) => `(SELECT 1 FROM commands AS c ${conditions.where(...part)} ${atMost})`);
    if (found.length === 0) return 0;
    if (isLookedUp(filter))
      found.push(`(SELECT 1 FROM archived_commands AS c ${conditions.where(...archivedPart(filter))} ${atMost})`);
    const sql = `SELECT count(*)::int AS count FROM (${found.join(' UNION ALL ')}) AS found`;
    const [{ count }] = counted.parse(await this.#client.query(sql, ...conditions.parameters));
    return count > limit ? null : count;
  }

  #open(records: readonly CommandRecord[], { withSecrets = false } = {}): Promise<CommandRecord[]> {
    return this.#codec.openAll([...records], opening, { withSecrets });
  }
}

function parseRecords(rows: readonly unknown[]): CommandRecord[] {
  return rows.map((row) => recordRow.parse(row));
}

/** Each once: what is archived meanwhile is read twice. */
function oldestFirst(records: readonly CommandRecord[]): CommandRecord[] {
  const each = [...new Map(records.map((it) => [it.commandId, it])).values()];
  return each.sort((a, b) => a.submittedAt.getTime() - b.submittedAt.getTime() || (a.commandId < b.commandId ? -1 : 1));
}
