import { randomUUID } from 'node:crypto';
import type { SqlClient } from '../../src/platform/database.ts';
import { emptyTables } from './empty-tables.ts';

/** Rows of the command store, as a test needs them: what it does not say is as of a command that succeeded at once. */
export interface CommandRow {
  readonly command_id: string;
  readonly name: string;
  readonly aggregate_type: string;
  readonly aggregate_id: string;
  readonly input: unknown;
  readonly fingerprint: string;
  readonly actor_kind: string;
  readonly actor_id: string | null;
  readonly status: string;
  readonly attempts: number;
  readonly rejection: unknown;
  readonly error: string | null;
  readonly version: number | null;
  readonly first_position: number | null;
  readonly event_count: number;
  readonly position: number | null;
  readonly correlation_id: string;
  readonly causation_id: string | null;
  readonly issuer_type: string | null;
  readonly issuer_id: string | null;
  readonly submitted_at: string;
  readonly due_at: string | null;
  readonly deadline: string | null;
  readonly finished_at: string | null;
}

/** What the queue knows of a command that is not finished. */
export interface QueueRow {
  readonly lane: string;
  readonly due_at: string;
  readonly attempts: number;
  readonly owner: string | null;
  readonly dead_letter_id: string | null;
}

export const INSTANT = '2030-01-31T12:00:00.000Z';

export function commandRow(changes: Partial<CommandRow> = {}): CommandRow {
  const command_id = changes.command_id ?? randomUUID();
  return {
    command_id,
    name: 'AddToTally',
    aggregate_type: 'tally',
    aggregate_id: 'a',
    input: { by: 1 },
    fingerprint: '',
    actor_kind: 'GUEST',
    actor_id: 'visitor',
    status: 'SUCCEEDED',
    attempts: 1,
    rejection: null,
    error: null,
    version: 1,
    first_position: null,
    event_count: 0,
    position: null,
    correlation_id: command_id,
    causation_id: null,
    issuer_type: null,
    issuer_id: null,
    submitted_at: INSTANT,
    due_at: null,
    deadline: null,
    finished_at: INSTANT,
    ...changes,
  };
}

export async function insertCommands(client: SqlClient, ...rows: readonly CommandRow[]): Promise<void> {
  await insert(client, 'commands', rows);
}

/** Puts a stored command into the queue, behind those of its lane. */
export async function enqueue(
  client: SqlClient,
  { command_id, aggregate_type, aggregate_id, submitted_at }: CommandRow,
  changes: Partial<QueueRow> = {},
): Promise<void> {
  const row = {
    lane: `${aggregate_type}-${aggregate_id}`,
    due_at: submitted_at,
    attempts: 0,
    owner: null,
    dead_letter_id: null,
    ...changes,
  };
  await client.query(
    `INSERT INTO command_queue (command_id, lane, due_at, is_delayed, attempts, owner, dead_letter_id)
     VALUES ($1::uuid, $2, $3::timestamptz, false, $4, $5::uuid, $6::uuid)`,
    command_id,
    row.lane,
    row.due_at,
    row.attempts,
    row.owner,
    row.dead_letter_id,
  );
}

export interface DeadLetterRow {
  readonly id: string;
  readonly source: string;
  readonly subject: string;
  readonly lane: string;
  readonly position: number | null;
  readonly payload: unknown;
  readonly error: string;
  readonly stack: string | null;
  readonly attempts: number;
  readonly status: string;
  readonly reason: string | null;
  readonly failed_at: string;
  readonly resolved_at: string | null;
}

export function deadLetterRow(changes: Partial<DeadLetterRow> = {}): DeadLetterRow {
  return {
    id: randomUUID(),
    source: 'command',
    subject: randomUUID(),
    lane: 'tally-a',
    position: null,
    payload: { command: 'AddToTally', input: { by: 1 } },
    error: 'It broke.',
    stack: 'Error: It broke.\n    at secret.ts:1',
    attempts: 8,
    status: 'OPEN',
    reason: null,
    failed_at: INSTANT,
    resolved_at: null,
    ...changes,
  };
}

export async function insertDeadLetters(client: SqlClient, ...rows: readonly DeadLetterRow[]): Promise<void> {
  await insert(client, 'dead_letters', rows);
}

export async function parkEvents(
  client: SqlClient,
  ...rows: readonly { readonly source: string; readonly lane: string; readonly position: number }[]
): Promise<void> {
  await insert(client, 'parked_events', rows);
}

/** Forgets every command and what failed. */
export async function emptyCommandStore(client: SqlClient): Promise<void> {
  await emptyTables(client, ['commands', 'command_queue', 'dead_letters', 'parked_events']);
}

async function insert(client: SqlClient, table: string, rows: readonly object[]): Promise<void> {
  const columns = Object.keys(rows[0] ?? {}).join(', ');
  await client.query(
    `INSERT INTO ${table} (${columns}) SELECT ${columns} FROM jsonb_populate_recordset(NULL::${table}, $1::jsonb)`,
    JSON.stringify(rows),
  );
}
