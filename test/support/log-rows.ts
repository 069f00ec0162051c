import { randomUUID } from 'node:crypto';
import type { SqlClient } from '../../src/platform/database.ts';
import { commandRow, insertCommands } from './command-rows.ts';

/** A command with its events, as they are stored; for logs that are to look in a certain way. */
export interface LoggedCommand {
  readonly commandId: string;
  readonly correlationId?: string;
  readonly causationId?: string;
  readonly actor?: { readonly kind: string; readonly id: string | null };
  readonly recordedAt: Date;
  readonly events: readonly LoggedEvent[];
}

export interface LoggedEvent {
  readonly eventId?: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  readonly type: string;
  readonly data?: object;
}

/** Writes a log by hand into an empty store: positions from 1, versions as they come. */
export async function writeLog(client: SqlClient, commands: readonly LoggedCommand[]): Promise<void> {
  const versions = new Map<string, number>();
  const rows: object[] = [];
  const records = commands.map(({ commandId, correlationId = commandId, causationId, actor, recordedAt, events }) => {
    const first = rows.length + 1;
    for (const { eventId = randomUUID(), aggregateType, aggregateId, type, data = {} } of events) {
      const streamId = `${aggregateType}-${aggregateId}`;
      const version = (versions.get(streamId) ?? 0) + 1;
      versions.set(streamId, version);
      rows.push({
        position: rows.length + 1,
        event_id: eventId,
        stream_id: streamId,
        aggregate_type: aggregateType,
        aggregate_id: aggregateId,
        version,
        type,
        schema_version: 1,
        data,
        actor_kind: actor?.kind ?? 'SYSTEM',
        actor_id: actor?.id ?? null,
        command_id: commandId,
        correlation_id: correlationId,
        causation_id: commandId,
        recorded_at: recordedAt,
      });
    }
    return commandRow({
      command_id: commandId,
      correlation_id: correlationId,
      causation_id: causationId ?? null,
      first_position: events.length === 0 ? null : first,
      event_count: events.length,
      submitted_at: recordedAt.toISOString(),
    });
  });
  await insertCommands(client, ...records);
  await client.query(
    'INSERT INTO events SELECT * FROM jsonb_populate_recordset(NULL::events, $1::jsonb)',
    JSON.stringify(rows),
  );
  await client.query(
    'UPDATE log_head SET position = $1::bigint, recorded_at = $2::timestamptz WHERE id = 1',
    rows.length,
    commands.at(-1)?.recordedAt ?? new Date(0),
  );
}
