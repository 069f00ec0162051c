import { randomUUID } from 'node:crypto';
import type { AnyEvent } from '../../src/eventsourcing/commands/decider.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';

/** Events as they would stand in a log that holds nothing else, one a second. */
export function recorded(
  aggregateType: string,
  aggregateId: string,
  events: readonly AnyEvent[],
): readonly RecordedEvent[] {
  return events.map(({ type, data }, at) => ({
    eventId: randomUUID(),
    type,
    schemaVersion: 1,
    streamId: `${aggregateType}-${aggregateId}`,
    aggregateType,
    aggregateId,
    version: at + 1,
    position: at + 1,
    recordedAt: new Date(Date.UTC(2030, 0, 31, 12, 0, at)),
    actor: { kind: 'ANONYMOUS', id: null },
    commandId: randomUUID(),
    correlationId: randomUUID(),
    causationId: null,
    data,
  }));
}
