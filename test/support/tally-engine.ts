import { randomUUID } from 'node:crypto';
import { type Actor, SYSTEM } from '../../src/eventsourcing/actor.ts';
import type { Aggregate } from '../../src/eventsourcing/commands/aggregate.ts';
import type { CommandOutcome, CommandRequest } from '../../src/eventsourcing/commands/command.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import type { EngineSettings } from '../../src/eventsourcing/engine-settings.ts';
import { StorageCodec } from '../../src/eventsourcing/log/codec.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { EventLog } from '../../src/eventsourcing/log/event-log.ts';
import type { Projection } from '../../src/eventsourcing/projections/projection.ts';
import { type Clock, systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger, type Logger } from '../../src/platform/logger.ts';
import { testMasterKey } from './master-key.ts';
import { type TallyCommand, type TallyRow, tally, tallyEvents } from './tally.ts';

export interface TallyEngineOptions
  extends Pick<
    EngineSettings,
    | 'processes'
    | 'performers'
    | 'leaseSeconds'
    | 'eventRetries'
    | 'commandRetries'
    | 'workers'
    | 'checkpointPlace'
    | 'isSealing'
    | 'otherMasterKeys'
  > {
  readonly projections?: readonly Projection<TallyRow>[];
  /** The tally as another version of the program has it. */
  readonly tallies?: Aggregate;
  /** Beside the tally. */
  readonly aggregates?: readonly Aggregate[];
  readonly clock?: Clock;
  readonly masterKey?: Buffer;
  readonly logger?: Logger;
}

/** The engine with the tally, and whatever else a test needs. */
export function startTallyEngine(
  database: Database,
  { projections = [], aggregates = [], tallies = tally, ...rest }: TallyEngineOptions = {},
): Promise<Engine> {
  const all = [tallies, ...aggregates];
  return Engine.start({
    database,
    masterKey: testMasterKey,
    aggregates: all,
    projections,
    clock: systemClock,
    ids: randomIds,
    logger: createLogger('silent'),
    ...rest,
  });
}

export function tallyLog({ log }: Database): EventLog {
  return new EventLog(log, new StorageCodec(), tallyEvents);
}

export interface RequestOptions {
  readonly commandId?: string;
  readonly expectedVersion?: number;
  readonly actor?: Actor;
}

/** A request for a tally, each with a commandId of its own unless one is given. */
export function request<Type extends TallyCommand['type']>(
  name: Type,
  data: Extract<TallyCommand, { type: Type }>['data'],
  { commandId = randomUUID(), actor = SYSTEM, ...rest }: RequestOptions = {},
): CommandRequest {
  return { commandId, name, data, actor, correlationId: commandId, ...rest };
}

/** The outcome of a command that must have succeeded. */
export function succeeded(outcome: CommandOutcome): Extract<CommandOutcome, { outcome: 'succeeded' }> {
  if (outcome.outcome === 'rejected') throw new Error(`It was rejected: ${outcome.rejection.message}`);
  if (outcome.outcome !== 'succeeded') throw new Error(`It is ${outcome.receipt.status}.`);
  return outcome;
}

/** The outcome of a command that must have been rejected. */
export function rejected(outcome: CommandOutcome): Extract<CommandOutcome, { outcome: 'rejected' }> {
  if (outcome.outcome !== 'rejected') throw new Error(`It succeeded, at version ${outcome.receipt.version}.`);
  return outcome;
}

/** All events of a log, read page by page as a follower reads it. */
export async function readWholeLog(log: EventLog, page = 1_000): Promise<RecordedEvent[]> {
  const all: RecordedEvent[] = [];
  for (;;) {
    const events = await log.readAfter(all.at(-1)?.position ?? 0, page);
    all.push(...events);
    if (events.length < page) return all;
  }
}
