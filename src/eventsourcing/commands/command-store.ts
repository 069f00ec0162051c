import { z } from 'zod';
import type { SqlClient } from '../../platform/database.ts';
import { ArchivedCommands } from '../archive/archived-commands.ts';
import { column } from '../projections/read-table.ts';
import { COMMAND_STATUSES, type CommandOutcome, type CommandStatus } from './command.ts';
import { commandIdReused, type Rejection, storedRejection } from './rejection.ts';

/** What is kept of a command for ever, as far as a repeat of it needs. */
export interface StoredCommand {
  readonly commandId: string;
  readonly aggregateId: string;
  readonly fingerprint: string;
  readonly status: CommandStatus;
  readonly rejection: Rejection | null;
  readonly version: number | null;
  readonly position: number | null;
  readonly correlationId: string;
  /** When the command was accepted: tells one run of it from another. */
  readonly submittedAt: Date;
}

const FIND = `
  SELECT command_id AS "commandId", aggregate_id AS "aggregateId", fingerprint, status, rejection, version, position,
         correlation_id AS "correlationId", submitted_at AS "submittedAt"
  FROM commands WHERE command_id = ANY ($1::uuid[])`;

const storedCommand = z.object({
  commandId: z.string(),
  aggregateId: z.string(),
  fingerprint: z.string(),
  status: z.enum(COMMAND_STATUSES),
  rejection: storedRejection.nullable(),
  version: z.number().nullable(),
  position: column.safeInt().nullable(),
  correlationId: z.string(),
  submittedAt: z.date(),
});

/** Every command that was accepted, by its id. They are written by the append that they belong to. */
export class CommandStore {
  readonly #client: SqlClient;
  readonly #archive: ArchivedCommands;

  constructor(client: SqlClient) {
    this.#client = client;
    this.#archive = new ArchivedCommands(client);
  }

  async find(commandIds: readonly string[]): Promise<Map<string, StoredCommand>> {
    if (commandIds.length === 0) return new Map();
    const found = byId(await this.#client.query(FIND, commandIds));
    const missing = commandIds.filter((commandId) => !found.has(commandId));
    return missing.length === 0 ? found : new Map([...found, ...byId(await this.#archive.find(missing))]);
  }
}

function byId(rows: readonly unknown[]): Map<string, StoredCommand> {
  return new Map(rows.map((row) => storedCommand.parse(row)).map((it) => [it.commandId, it]));
}

/**
 * The stored outcome, for a command with the same content; otherwise its id was used for something else.
 * @param ownAppend it was this very call that stored it
 */
export function replay(stored: StoredCommand, fingerprint: string, ownAppend = false): CommandOutcome {
  const { commandId, correlationId, status, version, position, aggregateId, rejection } = stored;
  if (stored.fingerprint !== fingerprint) return { outcome: 'rejected', rejection: commandIdReused(commandId) };
  const receipt = { commandId, correlationId, status, version, position, replayed: !ownAppend };
  if (rejection !== null) return { outcome: 'rejected', rejection, receipt };
  return { outcome: status === 'SUCCEEDED' ? 'succeeded' : 'accepted', aggregateId, receipt };
}
