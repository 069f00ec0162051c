import type { RecordedEvent } from './event.ts';
import { streamIdOf } from './stream-id.ts';

/** Which events; all of what is given must hold. An empty list is what no event has. */
export interface EventFilter {
  /** `cart`; a process, too, has the name of its kind. */
  readonly aggregateType?: string | undefined;
  /** Raw; without `aggregateType`, of aggregates of every type that the engine knows. */
  readonly aggregateId?: string | undefined;
  /** The stream of one aggregate, by its own id: `cart-<id>`. */
  readonly streamId?: string | undefined;
  readonly types?: readonly string[] | undefined;
  readonly actorId?: string | undefined;
  readonly correlationId?: string | undefined;
  /** Recorded then or later. */
  readonly from?: Date | undefined;
  /** Recorded earlier. */
  readonly to?: Date | undefined;
}

/**
 * Whether an event is one of those that a filter wants: the same that `EventHistory` finds in the store.
 * @param aggregateTypes those that the engine knows
 */
export function passes(event: RecordedEvent, filter: EventFilter, aggregateTypes: ReadonlySet<string>): boolean {
  const { aggregateType, aggregateId, streamId, types, actorId, correlationId, from, to } = filter;
  return (
    (aggregateType === undefined || event.aggregateType === aggregateType) &&
    (aggregateId === undefined || event.aggregateId === aggregateId) &&
    (aggregateId === undefined || aggregateType !== undefined || aggregateTypes.has(event.aggregateType)) &&
    (streamId === undefined || event.streamId === streamId) &&
    (types === undefined || types.includes(event.type)) &&
    (actorId === undefined || event.actor.id === actorId) &&
    (correlationId === undefined || event.correlationId === correlationId.toLowerCase()) &&
    (from === undefined || event.recordedAt >= from) &&
    (to === undefined || event.recordedAt < to)
  );
}

/** The streams that a filter is limited to; undefined where it is not. */
export function streamsOf(filter: EventFilter, aggregateTypes: ReadonlySet<string>): readonly string[] | undefined {
  const { aggregateType, aggregateId, streamId } = filter;
  if (streamId !== undefined) return [streamId];
  if (aggregateId === undefined) return undefined;
  const types = aggregateType === undefined ? [...aggregateTypes] : [aggregateType];
  return types.map((type) => streamIdOf(type, aggregateId));
}
