import { z } from 'zod';
import { isColumnText, isUuid } from '../../platform/column-values.ts';
import type { SqlClient } from '../../platform/database.ts';
import { Conditions, type KeysetOrder, type KeysetPage, keysetClauses } from '../../platform/keyset.ts';
import { ACTOR_KINDS, type Actor } from '../actor.ts';
import type { Json } from '../json.ts';
import type { Opening, StorageCodec } from '../log/codec.ts';
import { column } from '../projections/read-table.ts';
import { COMMAND_STATUSES, type CommandStatus } from './command.ts';
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

/** Which commands; all of what is given must hold. An empty list is what no command has. */
export interface CommandFilter {
  readonly status?: readonly CommandStatus[] | undefined;
  readonly name?: readonly string[] | undefined;
  readonly aggregateId?: string | undefined;
  /** Also the command that this id was taken from. */
  readonly correlationId?: string | undefined;
  /** Sent by a customer or guest themselves. */
  readonly sentBy?: { readonly kind: 'CUSTOMER' | 'GUEST'; readonly id: string } | undefined;
  /** Submitted then or later. */
  readonly from?: Date | undefined;
  /** Submitted earlier. */
  readonly to?: Date | undefined;
}

/** Where a command lies in a list, newest first. */
export type CommandKey = readonly [submittedAt: Date, commandId: string];

export function keyOfCommand({ submittedAt, commandId }: CommandRecord): CommandKey {
  return [submittedAt, commandId];
}

const ORDER: KeysetOrder = {
  columns: [
    { name: 'c.submitted_at', type: 'timestamptz' },
    { name: 'c.command_id', type: 'uuid' },
  ],
  descending: true,
};

/**
 * What began with the same request is little, and sorted once it is found. Without statistics, which an embedded store
 * never has, the database would rather look for it among all commands, in their order.
 */
const ORDER_OF_FEW: KeysetOrder = {
  columns: [
    { name: "(c.submitted_at + interval '0')", type: 'timestamptz' },
    { name: 'c.command_id', type: 'uuid' },
  ],
  descending: true,
};

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

const CLAIMED = 'FROM command_queue AS claimed WHERE claimed.command_id = c.command_id AND claimed.owner IS NOT NULL';
const QUEUED = "c.status = 'QUEUED'";

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
  readonly #codec: StorageCodec;

  constructor(client: SqlClient, codec: StorageCodec) {
    this.#client = client;
    this.#codec = codec;
  }

  async find(ids: readonly string[]): Promise<Map<string, CommandRecord>> {
    const possible = ids.filter(isUuid);
    if (possible.length === 0) return new Map();
    const records = await this.#parse(await this.#client.query(FIND, possible));
    return new Map(records.map((it) => [it.commandId, it]));
  }

  /**
   * What a command that is stored was to do, with its secrets: null once it has ended. For whoever runs commands, and for
   * nobody's eyes.
   */
  async inputOf(commandId: string): Promise<Json | undefined> {
    if (!isUuid(commandId)) return undefined;
    const [record] = await this.#parse(await this.#client.query(FIND, [commandId]), { withSecrets: true });
    return record?.input;
  }

  /** What a command was to do, for those who have no right to what is personal in it: null is in its place. */
  inputWithoutPersonal({ name, input }: Pick<CommandRecord, 'name' | 'input'>): Json {
    return this.#codec.withoutPersonal(name, input);
  }

  /** One page, newest first. */
  async list(filter: CommandFilter, page: KeysetPage<CommandKey>): Promise<CommandRecord[]> {
    const conditions = conditionsOf(filter);
    const order = keysetClauses(filter.correlationId === undefined ? ORDER : ORDER_OF_FEW, page, conditions);
    const found = partsOf(filter).map(
      (part) => `(SELECT c.* FROM commands AS c ${conditions.where(...part)} ${order})`,
    );
    if (found.length === 0) return [];
    const sql = `SELECT ${COLUMNS} FROM (${found.join(' UNION ALL ')}) AS c ${QUEUE} ${order}`;
    return this.#parse(await this.#client.query(sql, ...conditions.parameters));
  }

  /** Commands for these aggregates, of each at most so many: oldest first. */
  async ofAggregates(aggregateIds: readonly string[], limitEach: number): Promise<CommandRecord[]> {
    const possible = aggregateIds.filter(isColumnText);
    if (possible.length === 0) return [];
    return this.#parse(await this.#client.query(OF_AGGREGATES, possible, limitEach));
  }

  /** How many there are. @returns null beyond a limit, where counting on would cost too much */
  async count(filter: CommandFilter, limit: number): Promise<number | null> {
    const conditions = conditionsOf(filter);
    const atMost = `LIMIT ${conditions.placeholder(limit + 1)}::int`;
    const found = partsOf(filter).map((part) => `(SELECT 1 FROM commands AS c ${conditions.where(...part)} ${atMost})`);
    if (found.length === 0) return 0;
    const sql = `SELECT count(*)::int AS count FROM (${found.join(' UNION ALL ')}) AS found`;
    const [{ count }] = counted.parse(await this.#client.query(sql, ...conditions.parameters));
    return count > limit ? null : count;
  }

  #parse(rows: readonly unknown[], { withSecrets = false } = {}): Promise<CommandRecord[]> {
    return this.#codec.openAll(
      rows.map((row) => recordRow.parse(row)),
      opening,
      { withSecrets },
    );
  }
}

function conditionsOf({ name, aggregateId, correlationId, sentBy, from, to }: CommandFilter): Conditions {
  const conditions = new Conditions();
  if (sentBy !== undefined) {
    // The kinds stand in the text, since there is an index of these alone; no other is in it.
    const kind = sentBy.kind === 'GUEST' ? "c.actor_kind = 'GUEST'" : "c.actor_kind = 'CUSTOMER'";
    if (isColumnText(sentBy.id)) conditions.add((at) => `(${kind} AND c.actor_id = ${at}::text)`, sentBy.id);
    else conditions.addNever();
  }
  if (name !== undefined) conditions.add((at) => `c.name = ANY (${at}::text[])`, name.filter(isColumnText));
  if (aggregateId !== undefined) {
    if (isColumnText(aggregateId)) conditions.add((at) => `c.aggregate_id = ${at}::text`, aggregateId);
    else conditions.addNever();
  }
  if (correlationId !== undefined) {
    // The first of a correlation has its own id as the correlation's; the index has only the others.
    const either = (at: string) =>
      `(c.command_id = ${at}::uuid OR (c.correlation_id = ${at}::uuid AND c.correlation_id <> c.command_id))`;
    if (isUuid(correlationId)) conditions.add(either, correlationId);
    else conditions.addNever();
  }
  if (from !== undefined) conditions.add((at) => `c.submitted_at >= ${at}::timestamptz`, from);
  if (to !== undefined) conditions.add((at) => `c.submitted_at < ${at}::timestamptz`, to);
  return conditions;
}

/**
 * The conditions of each part that the wanted commands are put together from: one for each status, so that each part can
 * be read in order from the index of statuses. The statuses stand in the text, since that index has not all of them.
 */
function partsOf({ status }: CommandFilter): string[][] {
  if (status === undefined) return [[]];
  return COMMAND_STATUSES.filter((it) => status.includes(it)).flatMap((it) => {
    switch (it) {
      case 'QUEUED':
        return [[QUEUED, `NOT EXISTS (SELECT ${CLAIMED})`]];
      case 'RUNNING':
        // One that a process concludes, or one that a node has claimed.
        return [["c.status = 'RUNNING'"], [QUEUED, `EXISTS (SELECT ${CLAIMED})`]];
      default:
        return [[`c.status = '${it}'`]];
    }
  });
}
