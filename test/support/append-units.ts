import { randomUUID } from 'node:crypto';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import type { AppendUnit, NewCommandRecord, NewEvent } from '../../src/eventsourcing/log/append-unit.ts';
import { tallyStream } from './tally.ts';

export interface UnitOptions {
  /** Ids of the tallies that the unit touches. */
  readonly ids: readonly string[];
  /** The version of each that the unit was decided on. */
  readonly decidedOn?: number;
  /** How many events each of them gets. */
  readonly count?: number;
  readonly commandId?: string;
  readonly note?: string;
}

/** A unit of one command, as the executor would hand it to the log. */
export function unitOf({
  ids,
  decidedOn = 0,
  count = 1,
  commandId = randomUUID(),
  note = '',
}: UnitOptions): AppendUnit {
  const version = decidedOn + count;
  const events = ids.flatMap((id) =>
    Array.from({ length: count }, (_, at) => newEvent(id, decidedOn + at + 1, commandId, note)),
  );
  const streams = ids.map((id) => ({
    streamId: tallyStream(id),
    aggregateType: 'tally',
    aggregateId: id,
    decidedOn,
    version,
  }));
  return { streams, commands: [commandRecord(ids[0] ?? '', version, commandId)], events };
}

function newEvent(aggregateId: string, version: number, commandId: string, note: string): NewEvent {
  return {
    eventId: randomUUID(),
    type: 'TallyAdded',
    schemaVersion: 1,
    streamId: tallyStream(aggregateId),
    aggregateType: 'tally',
    aggregateId,
    version,
    actor: SYSTEM,
    commandId,
    correlationId: commandId,
    causationId: commandId,
    data: { amount: 1, note, total: version },
  };
}

function commandRecord(aggregateId: string, version: number, commandId: string): NewCommandRecord {
  return {
    commandId,
    name: 'Add',
    aggregateType: 'tally',
    aggregateId,
    input: { tallyId: aggregateId, amount: 1 },
    fingerprint: 'of the test',
    actorKind: SYSTEM.kind,
    actorId: SYSTEM.id,
    attempts: 1,
    rejection: undefined,
    expectedVersion: undefined,
    version,
    isRunning: false,
    wasQueued: false,
    correlationId: commandId,
    causationId: null,
    submittedAt: new Date().toISOString(),
  };
}
