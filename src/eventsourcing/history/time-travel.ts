import { BulkheadRejectedError, bulkhead } from 'cockatiel';
import { isColumnText } from '../../platform/column-values.ts';
import type { Aggregate } from '../commands/aggregate.ts';
import { Overloaded } from '../commands/command.ts';
import type { Json } from '../json.ts';
import { mustBeReadable, type RecordedEvent } from '../log/event.ts';
import type { EventLog } from '../log/event-log.ts';
import { streamIdOf } from '../log/stream-id.ts';
import type { ProjectedRow, Projection } from '../projections/projection.ts';
import { comparable, type Difference, differences } from './difference.ts';
import type { StreamHistory } from './stream-history.ts';

/** Of a stream whose newest event says it all, so many are looked at for one that does. */
const NEWEST_PAGE = 20;
/** A stream may be long, and anybody may ask: so few are read at the same time, and so many wait. */
const AT_ONCE = 4;
const WAITING = 1_000;

/**
 * An earlier point: that of an event of a stream, by its version (0: before the first); that of an event of the log, by
 * its position; or an instant, and all that was stored by then.
 */
export type PointInTime = { readonly version: number } | { readonly position: number } | { readonly at: Date };

/** There is no aggregate of this type. */
export class UnknownAggregateType extends Error {
  override readonly name = 'UnknownAggregateType';
}

/** There is no aggregate of this type with this id. */
export class UnknownAggregate extends Error {
  override readonly name = 'UnknownAggregate';
}

/** The aggregate has no such version. */
export class UnknownVersion extends Error {
  override readonly name = 'UnknownVersion';
}

/** More differs than is listed. */
export class TooManyDifferences extends Error {
  override readonly name = 'TooManyDifferences';
}

/** How to fold one stream: what a decider does. */
export interface Fold<State> {
  readonly initialState: State;
  evolve(state: State, event: RecordedEvent): State;
}

/**
 * What was so at an earlier point: rows and states are folded anew, from the log, by the same code that folds them live.
 * It costs what reading the streams up to there costs, whatever the log holds beside.
 */
export class TimeTravel {
  readonly streams: StreamHistory;
  readonly #log: EventLog;
  readonly #aggregates: ReadonlyMap<string, Aggregate>;
  readonly #gate = bulkhead(AT_ONCE, WAITING);

  constructor(log: EventLog, streams: StreamHistory, aggregates: readonly Aggregate[]) {
    this.#log = log;
    this.streams = streams;
    this.#aggregates = new Map(aggregates.map((aggregate) => [aggregate.type, aggregate]));
  }

  /** The types of aggregates whose states can be compared. */
  get aggregateTypes(): readonly string[] {
    return [...this.#aggregates.keys()].sort();
  }

  /**
   * The position that a point means: 0 for before everything.
   * @param streamId whose versions are meant
   * @returns undefined where the stream has no such version
   */
  async positionOf(streamId: string, point: PointInTime): Promise<number | undefined> {
    if ('position' in point) return point.position;
    if ('at' in point) return this.#log.positionAt(point.at);
    return point.version === 0 ? 0 : this.streams.positionOf(streamId, point.version);
  }

  /**
   * A row as it was when the log had come to a position, folded by its projection.
   *
   * It is folded from the streams that are known to be its own, and again with those that the row so made names, until
   * it names no others.
   * @param streamIds its own stream, and those that the row of now is made of: a row may learn of a stream from that
   *   stream's own events
   * @throws {Overloaded} @throws {UnreadableEvent}
   */
  async rowAsOf<Row extends ProjectedRow>(
    projection: Projection<Row>,
    key: string,
    streamIds: readonly string[],
    position: number,
  ): Promise<Row | undefined> {
    return this.#inTurn(async () => {
      for (let known = new Set(streamIds); ; ) {
        const row = await this.#foldRow(projection, key, [...known], position);
        const named = new Set([...known, ...(row === undefined ? [] : projection.streamsOf(row))]);
        if (named.size === known.size) return row;
        known = named;
      }
    });
  }

  /**
   * A state as of a version.
   * @returns with the version that it is of: that of the newest event, if the stream has not come so far
   * @throws {Overloaded} @throws {UnreadableEvent}
   */
  async stateAsOf<State>(fold: Fold<State>, streamId: string, version: number) {
    return this.#inTurn(async () => {
      const upTo = Math.min(version, await this.streams.newestVersion(streamId));
      return this.#fold(fold, streamId, { state: fold.initialState, version: 0 }, upTo);
    });
  }

  /**
   * What differs in the state of an aggregate, also of an instance of a process, between two points, in the order of the
   * paths. The points may be in any order.
   * @param limit more differences than these are not listed
   * @throws {UnknownAggregateType} @throws {UnknownAggregate} @throws {UnknownVersion} @throws {TooManyDifferences}
   * @throws {Overloaded} @throws {UnreadableEvent}
   */
  async compare(
    { aggregateType, aggregateId }: { readonly aggregateType: string; readonly aggregateId: string },
    from: PointInTime,
    to: PointInTime | undefined,
    limit: number,
  ): Promise<Difference[]> {
    const aggregate = this.#aggregates.get(aggregateType);
    if (aggregate === undefined) {
      const known = this.aggregateTypes.join(', ');
      throw new UnknownAggregateType(`There is no type of aggregates ${shortened(aggregateType)}: there are ${known}.`);
    }
    const streamId = streamIdOf(aggregateType, aggregateId);
    const newest = isColumnText(streamId) ? await this.streams.newestVersion(streamId) : 0;
    if (newest === 0) throw new UnknownAggregate(`There is no ${aggregateType} ${shortened(aggregateId)}.`);
    const versions = await Promise.all(
      [from, to ?? { version: newest }].map((it) => this.#versionAt(streamId, it, newest)),
    );
    const [first = 0, second = 0] = versions;
    const { decider, stateToCompare = (state: unknown) => state } = aggregate;
    const [earlier, later] = await this.#inTurn(async () => {
      const before = { state: decider.initialState, version: 0 };
      const low = await this.#fold(decider, streamId, before, Math.min(first, second));
      const high = await this.#fold(decider, streamId, low, Math.max(first, second));
      return [low, high].map((it): Json => comparable(stateToCompare(it.state)));
    });
    const pair = first <= second ? [earlier, later] : [later, earlier];
    const found: Difference[] = [];
    for (const difference of differences(pair[0] ?? null, pair[1] ?? null)) {
      if (found.length === limit) throw new TooManyDifferences(`More than ${limit} things differ.`);
      found.push(difference);
    }
    return found;
  }

  async #versionAt(streamId: string, point: PointInTime, newest: number): Promise<number> {
    if ('version' in point) {
      if (point.version <= newest) return point.version;
      throw new UnknownVersion(`There is no version ${point.version} of ${streamId}: its newest is ${newest}.`);
    }
    const position = (await this.positionOf(streamId, point)) ?? 0;
    return (await this.streams.versionsAt([streamId], position)).get(streamId) ?? 0;
  }

  async #inTurn<Result>(look: () => Promise<Result>): Promise<Result> {
    try {
      return await this.#gate.execute(look);
    } catch (error) {
      if (error instanceof BulkheadRejectedError) throw new Overloaded('Too many look into the past: ask again later.');
      throw error;
    }
  }

  async #fold<State>(
    { evolve }: Pick<Fold<State>, 'evolve'>,
    streamId: string,
    from: { readonly state: State; readonly version: number },
    upTo: number,
  ): Promise<{ state: State; version: number }> {
    let { state, version } = from;
    for await (const event of this.streams.events(streamId, version, upTo)) {
      mustBeReadable(event);
      state = evolve(state, event);
      version = event.version;
    }
    return { state, version };
  }

  async #foldRow<Row extends ProjectedRow>(
    projection: Projection<Row>,
    key: string,
    streamIds: readonly string[],
    position: number,
  ): Promise<Row | undefined> {
    const versions = await this.streams.versionsAt(streamIds, position);
    const types = new Set(projection.eventTypes);
    const sources = [...versions].map(([streamId, version]) =>
      projection.isSaidByNewest?.(streamId) === true
        ? this.#newest(streamId, version, types)
        : this.streams.events(streamId, 0, version),
    );
    let row: Row | undefined;
    for await (const event of inOrderOfPosition(sources)) {
      if (!types.has(event.type)) continue;
      mustBeReadable(event);
      if (projection.keyOf(event) === key) row = projection.evolveRow(row, event);
    }
    return row;
  }

  /** The newest event of a stream that a projection takes: all of them, if it is not among the newest. */
  async *#newest(streamId: string, upTo: number, types: ReadonlySet<string>): AsyncGenerator<RecordedEvent> {
    const newest = await this.streams.read(streamId, Math.max(0, upTo - NEWEST_PAGE), upTo);
    const last = newest.findLast(({ type }) => types.has(type));
    if (last === undefined) yield* this.streams.events(streamId, 0, upTo);
    else yield last;
  }
}

/** Merges what is in order each for itself. */
async function* inOrderOfPosition(sources: readonly AsyncGenerator<RecordedEvent>[]): AsyncGenerator<RecordedEvent> {
  const heads = await Promise.all(sources.map(async (source) => ({ source, next: await source.next() })));
  for (;;) {
    const open = heads.flatMap((head) => (head.next.done === true ? [] : [{ head, event: head.next.value }]));
    const [first] = open;
    if (first === undefined) return;
    const { head, event } = open.reduce((least, it) => (it.event.position < least.event.position ? it : least), first);
    yield event;
    head.next = await head.source.next();
  }
}

/** Whoever asks may send what is very long. */
function shortened(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
