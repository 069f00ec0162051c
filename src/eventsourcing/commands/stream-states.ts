import { type RecordedEvent, UnreadableEvent } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import type { Aggregate } from './aggregate.ts';
import type { StreamState } from './decision-batch.ts';
import type { Snapshots } from './snapshots.ts';

/** So many events of a stream are in memory at a time while it is folded. */
const PAGE = 5_000;

/** Folds streams to their states: from what is known of them, or a snapshot, or their beginning. */
export class StreamStates {
  readonly #log: EventLog;
  readonly #snapshots: Snapshots;

  constructor(log: EventLog, snapshots: Snapshots) {
    this.#log = log;
    this.#snapshots = snapshots;
  }

  /**
   * One query, for all streams; one more before it where there may be snapshots, and more for very long streams.
   * @param known states to go on from
   * @returns of every stream that there is: as it stands now, or `unreadable`
   */
  async load(
    streams: ReadonlyMap<string, Aggregate>,
    known: ReadonlyMap<string, StreamState> = new Map(),
  ): Promise<Map<string, StreamState>> {
    const states = new Map<string, StreamState>();
    const unknown = new Map<string, Aggregate>();
    for (const [streamId, aggregate] of streams) {
      const state = known.get(streamId);
      if (state !== undefined) states.set(streamId, state);
      else if (aggregate.snapshots !== undefined) unknown.set(streamId, aggregate);
    }
    for (const [streamId, state] of await this.#snapshots.load(unknown)) states.set(streamId, state);
    const open = new Map([...streams.keys()].map((streamId) => [streamId, states.get(streamId)?.version ?? 0]));
    while (open.size > 0) {
      const pages = byStream(await this.#log.readStreamsAfter(open, PAGE));
      for (const streamId of open.keys()) {
        const events = pages.get(streamId) ?? [];
        const aggregate = streams.get(streamId);
        const state = aggregate && folded(aggregate, states.get(streamId), events);
        if (state !== undefined) states.set(streamId, state);
        if (state === undefined || state.unreadable !== undefined || events.length < PAGE) open.delete(streamId);
        else open.set(streamId, state.version);
        // Whoever had to read much of it spares the next one that.
        if (aggregate && state) this.#snapshots.offer(aggregate.type, streamId, state, events);
      }
    }
    return states;
  }
}

function byStream(events: readonly RecordedEvent[]): Map<string, RecordedEvent[]> {
  const pages = new Map<string, RecordedEvent[]>();
  for (const event of events) {
    const page = pages.get(event.streamId);
    if (page === undefined) pages.set(event.streamId, [event]);
    else page.push(event);
  }
  return pages;
}

function folded(
  { decider }: Aggregate,
  before: StreamState | undefined,
  events: readonly RecordedEvent[],
): StreamState | undefined {
  if (events.length === 0) return before;
  let state = before?.state ?? decider.initialState;
  let version = before?.version ?? 0;
  for (const event of events) {
    if (event.unreadable !== undefined) return { version, state, unreadable: new UnreadableEvent(event) };
    state = decider.evolve(state, event);
    version = event.version;
  }
  return { version, state };
}
