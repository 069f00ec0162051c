import { expect, vi } from 'vitest';
import { z } from 'zod';
import type { CommandOutcome, CommandRequest, Schedule } from '../../src/eventsourcing/commands/command.ts';
import type { CommandRecord } from '../../src/eventsourcing/commands/command-records.ts';
import type { Engine } from '../../src/eventsourcing/engine.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import type { Database } from '../../src/platform/database.ts';
import { tallyStream } from './tally.ts';

/** What stands in the queue, as the tables have it. */

const PATIENCE_MS = 40_000;

const queueRow = z.object({
  id: z.string(),
  attempts: z.number(),
  owner: z.string().nullable(),
  isSuspect: z.boolean(),
  dueAt: z.date(),
  retryAt: z.date().nullable(),
  letter: z.string().nullable(),
});
const letterRow = z.object({
  id: z.string(),
  source: z.string(),
  subject: z.string(),
  lane: z.string(),
  payload: z.unknown(),
  error: z.string(),
  stack: z.string().nullable(),
  attempts: z.number(),
  status: z.string(),
  reason: z.string().nullable(),
});
export type QueueRow = z.output<typeof queueRow>;
export type LetterRow = z.output<typeof letterRow>;

export async function queueRows({ log }: Database): Promise<QueueRow[]> {
  const rows = await log.query(
    `SELECT command_id AS id, attempts, owner, is_suspect AS "isSuspect", due_at AS "dueAt", retry_at AS "retryAt",
            dead_letter_id AS letter
     FROM command_queue ORDER BY due_at, seq`,
  );
  return rows.map((row) => queueRow.parse(row));
}

export async function queueRowOf(database: Database, commandId: string): Promise<QueueRow | undefined> {
  return (await queueRows(database)).find(({ id }) => id === commandId);
}

/** All dead letters, also those that are no longer open; those that failed first come first. */
export async function letterRows({ log }: Database): Promise<LetterRow[]> {
  const rows = await log.query(
    'SELECT id, source, subject, lane, payload, error, stack, attempts, status, reason FROM dead_letters ORDER BY id',
  );
  return rows.map((row) => letterRow.parse(row));
}

/** Waits until what is looked for is there. */
export function eventually<T>(look: () => T | Promise<T>, timeout = PATIENCE_MS): Promise<T> {
  return vi.waitFor(look, { timeout, interval: 5 });
}

/** Waits until nothing is left but dead letters. */
export async function untilDrained({ log }: Database, timeout = PATIENCE_MS): Promise<void> {
  await eventually(async () => {
    expect(await log.query('SELECT command_id FROM command_queue WHERE dead_letter_id IS NULL LIMIT 1')).toEqual([]);
  }, timeout);
}

/** Waits until what has been claimed is finished or given back. */
export async function untilNothingRuns(database: Database): Promise<void> {
  await eventually(async () => {
    expect((await queueRows(database)).filter(({ owner }) => owner !== null)).toEqual([]);
  });
}

/** Queues a command that must be accepted. @returns its id */
export async function enqueue({ executor }: Engine, command: CommandRequest, schedule: Schedule = {}): Promise<string> {
  const outcome = await executor.enqueue(command, schedule);
  expect(outcome.outcome).toBe('accepted');
  return command.commandId;
}

/** How a command ended. */
export async function finished({ commandWatch }: Engine, commandId: string): Promise<CommandRecord> {
  const record = await commandWatch.finished(commandId, PATIENCE_MS);
  if (record === undefined) throw new Error(`The command ${commandId} has no end.`);
  return record;
}

export async function recordOf({ commandRecords }: Engine, commandId: string): Promise<CommandRecord> {
  const record = (await commandRecords.find([commandId])).get(commandId);
  if (record === undefined) throw new Error(`There is no command ${commandId}.`);
  return record;
}

export async function statusOf(engine: Engine, commandId: string): Promise<string> {
  return (await recordOf(engine, commandId)).status;
}

export function eventsOf({ log }: Pick<Engine, 'log'>, tallyId: string): Promise<RecordedEvent[]> {
  return log.readStreams([tallyStream(tallyId)]);
}

/** What was added to a tally, in order. */
export async function amountsOf(engine: Pick<Engine, 'log'>, tallyId: string): Promise<number[]> {
  return (await eventsOf(engine, tallyId)).flatMap(
    ({ data }) => z.object({ amount: z.number() }).safeParse(data).data?.amount ?? [],
  );
}

export function receiptOf({ receipt }: CommandOutcome) {
  if (receipt === undefined) throw new Error('It has no receipt.');
  return receipt;
}
