import { setImmediate as nextTurn } from 'node:timers/promises';
import { z } from 'zod';
import type { Clock } from '../../platform/clock.ts';
import type { SqlClient } from '../../platform/database.ts';
import { ACTOR_KINDS } from '../actor.ts';
import { retryWhileAway } from '../database-away.ts';
import { shortQueuedCommand } from '../log/append-format.ts';
import type { NewQueuedCommand } from '../log/append-unit.ts';
import type { Opening, StorageCodec } from '../log/codec.ts';
import { streamIdOf } from '../log/stream-id.ts';
import { type CommandRequest, OutcomeUnknown, Overloaded } from './command.ts';

/** A command of the queue that this node is to run. */
export interface ClaimedCommand {
  readonly request: CommandRequest;
  readonly fingerprint: string;
  readonly submittedAt: Date;
  readonly deadline: Date | null;
  readonly aggregateId: string;
  /** What it shares its turns with: the commands of its stream. */
  readonly lane: string;
  /** How often it was claimed, this time included. */
  readonly attempts: number;
}

/** What becomes of a claimed command that was not finished. */
export interface GivenBack {
  readonly id: string;
  /** The attempt does not count. */
  readonly isUntried?: boolean;
  readonly retryAt?: Date;
  /** It failed for good: the id of its dead letter, and why. */
  readonly letter?: string;
  readonly error?: string;
  readonly stack?: string | undefined;
}

/** More than these do not wait to be written. */
const MAX_ADDING = 20_000;

const ADD = 'SELECT enqueue_commands($1::jsonb, $2::timestamptz) AS added';
const CLAIM = 'SELECT * FROM claim_commands($1::uuid, $2::timestamptz, $3::int, $4::uuid[], $5::int, $6::jsonb)';
const GIVE_BACK = 'SELECT give_back_commands($1::uuid, $2::jsonb, $3::timestamptz)::text';
const NEXT = `
  SELECT least(
    (SELECT min(due_at) FROM command_queue
     WHERE owner IS NULL AND dead_letter_id IS NULL AND NOT is_performed AND is_delayed AND due_at > $1::timestamptz),
    (SELECT min(due_at) FROM command_queue
     WHERE owner IS NULL AND dead_letter_id IS NULL AND is_performed AND is_delayed AND due_at > $1::timestamptz),
    (SELECT min(retry_at) FROM command_queue WHERE retry_at IS NOT NULL AND retry_at > $1::timestamptz),
    (SELECT min(deadline) FROM command_queue WHERE deadline IS NOT NULL AND deadline > $1::timestamptz)
  ) AS next`;

const added = z.tuple([z.object({ added: z.array(z.string()) })]);
const nextRow = z.tuple([z.object({ next: z.date().nullable() })]);
const claimedRow = z
  .object({
    command_id: z.string(),
    name: z.string(),
    aggregate_type: z.string(),
    aggregate_id: z.string(),
    input: z.unknown(),
    fingerprint: z.string(),
    actor_kind: z.enum(ACTOR_KINDS),
    actor_id: z.string().nullable(),
    expected_version: z.number().nullable(),
    correlation_id: z.string(),
    causation_id: z.string().nullable(),
    submitted_at: z.date(),
    deadline: z.date().nullable(),
    attempts: z.number(),
    timed_out: z.boolean(),
  })
  .transform((row): ClaimedCommand & { readonly timedOut: boolean } => ({
    timedOut: row.timed_out,
    request: {
      commandId: row.command_id,
      name: row.name,
      data: row.input,
      actor: { kind: row.actor_kind, id: row.actor_id },
      expectedVersion: row.expected_version ?? undefined,
      correlationId: row.correlation_id,
      causationId: row.causation_id ?? undefined,
    },
    fingerprint: row.fingerprint,
    submittedAt: row.submitted_at,
    deadline: row.deadline,
    aggregateId: row.aggregate_id,
    lane: streamIdOf(row.aggregate_type, row.aggregate_id),
    attempts: row.attempts,
  }));

const opening: Opening<ClaimedCommand> = {
  kind: 'command',
  name: ({ request }) => request.name,
  id: ({ request }) => request.commandId,
  data: ({ request }) => request.data,
  opened: (command, data) => ({ ...command, request: { ...command.request, data } }),
};

interface Adding {
  readonly command: NewQueuedCommand;
  readonly done: (isNew: boolean) => void;
  readonly failed: (error: unknown) => void;
}

/** Commands that are to be run later, in the database: first in, first out for each aggregate. */
export class CommandQueue {
  readonly #client: SqlClient;
  readonly #codec: StorageCodec;
  readonly #clock: Clock;
  readonly #onChanged: () => void;
  #adding: Adding[] = [];
  #isWriting = false;

  /** @param onChanged called after commands were added, given back or timed out */
  constructor(client: SqlClient, codec: StorageCodec, clock: Clock, onChanged: () => void) {
    this.#client = client;
    this.#codec = codec;
    this.#clock = clock;
    this.#onChanged = onChanged;
  }

  /**
   * Adds a command; those that are added while others are being written share the next statement.
   * @returns false if its id is stored already, and nothing was done
   * @throws {OutcomeUnknown} @throws {Overloaded}
   */
  add(command: NewQueuedCommand): Promise<boolean> {
    if (this.#adding.length >= MAX_ADDING) {
      return Promise.reject(new Overloaded('Too many commands are being queued: send it again later.'));
    }
    return new Promise((done, failed) => {
      this.#adding.push({ command, done, failed });
      if (!this.#isWriting) void this.#write();
    });
  }

  /**
   * Claims commands that are due, in the order of their aggregates; counts the attempt.
   * @param running what the node knows that it has claimed: the rest is what a lost answer spoke of, and is claimed anew
   * @param room how many performed commands may be among them
   * @param rooms of these, how many of each kind of aggregate; none of one that is not named
   */
  async claim(
    node: string,
    now: Date,
    limit: number,
    running: readonly string[],
    room: number,
    rooms: ReadonlyMap<string, number>,
  ): Promise<ClaimedCommand[]> {
    const ofEach = JSON.stringify(Object.fromEntries(rooms));
    const claim = this.#client.query(CLAIM, node, now, limit, running, room, ofEach);
    const rows = (await claim).map((row) => claimedRow.parse(row));
    const claimed = rows.filter(({ timedOut }) => !timedOut);
    if (claimed.length < rows.length) this.#onChanged();
    return this.#codec.openAll<ClaimedCommand>(claimed, opening, { withSecrets: true });
  }

  async giveBack(node: string, commands: readonly GivenBack[]): Promise<void> {
    const given = JSON.stringify(commands);
    await retryWhileAway(() => this.#client.query(GIVE_BACK, node, given, this.#clock.now()));
    this.#onChanged();
  }

  /** When something will be due that was not at a given time. */
  async next(now: Date): Promise<Date | null> {
    return nextRow.parse(await this.#client.query(NEXT, now))[0].next;
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    try {
      await nextTurn();
      while (this.#adding.length > 0) {
        await this.#insert(this.#adding.splice(0, 1_000));
        this.#onChanged();
      }
    } finally {
      // In the very turn in which nothing was left: what is added from now on begins anew.
      this.#isWriting = false;
    }
  }

  async #sealed(commands: readonly NewQueuedCommand[]): Promise<readonly NewQueuedCommand[]> {
    if (!this.#codec.isProtecting) return commands;
    const wanted = new Set<string>();
    for (const { name, input } of commands) this.#codec.addSubjects(wanted, 'command', name, input);
    const keys = await retryWhileAway(() => this.#codec.keysFor(wanted));
    return commands.map((command) => this.#codec.sealCommand(command, keys));
  }

  /** Those that the database refuses are added in ever smaller company, so that each is refused for itself. */
  async #insert(batch: readonly Adding[]): Promise<void> {
    try {
      // An id twice in one batch is one command: the second is told that it is stored.
      const commands = new Map<string, NewQueuedCommand>();
      for (const { command } of batch) if (!commands.has(command.commandId)) commands.set(command.commandId, command);
      const rows = JSON.stringify((await this.#sealed([...commands.values()])).map(shortQueuedCommand));
      const answer = await retryWhileAway(() => this.#client.query(ADD, rows, this.#clock.now()));
      const isNew = new Set(added.parse(answer)[0].added);
      for (const { command, done } of batch) done(isNew.delete(command.commandId));
    } catch (error) {
      if (batch.length === 1 || error instanceof OutcomeUnknown) {
        for (const { failed } of batch) failed(error);
        return;
      }
      const half = Math.ceil(batch.length / 2);
      await this.#insert(batch.slice(0, half));
      await this.#insert(batch.slice(half));
    }
  }
}
