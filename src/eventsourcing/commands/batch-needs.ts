import { streamIdOf } from '../log/stream-id.ts';
import type { AcceptedCommand } from './accepted-command.ts';
import type { Aggregate, CommandDefinition } from './aggregate.ts';
import { companionTarget, type StreamState } from './decision-batch.ts';
import type { StreamStates } from './stream-states.ts';

/** Where the facts of each aggregate come from, by their keys. */
export type FactSources = ReadonlyMap<Aggregate, (keys: readonly string[]) => Promise<ReadonlyMap<string, unknown>>>;

/** A state as this process last saw it. It may have moved on: the append finds out. */
export interface KnownState extends StreamState {
  /** It is known to have moved on: what came since is read before it is used. */
  readonly isOutdated?: boolean;
}

export interface KnownStates {
  get(streamId: string): KnownState | undefined;
  set(streamId: string, state: KnownState): void;
}

/** Loads what the commands of a batch are decided on: all states together, and one query a table for all facts. */
export class BatchNeeds {
  readonly #states: StreamStates;
  readonly #aggregates: ReadonlyMap<string, Aggregate>;
  readonly #facts: FactSources;

  constructor(states: StreamStates, aggregates: ReadonlyMap<string, Aggregate>, facts: FactSources) {
    this.#states = states;
    this.#aggregates = aggregates;
    this.#facts = facts;
  }

  /**
   * The state of every stream that there is and that the batch touches.
   * @param known what is read here is added to it
   * @returns with `doubtful`: streams whose state was taken from there, or assumed because a command begins them
   */
  async states(batch: readonly AcceptedCommand[], known: KnownStates) {
    const wanted = this.#wantedStreams(batch);
    const states = new Map<string, StreamState>();
    const doubtful = new Set(
      batch.filter((it) => it.definition.begins === true && it.attempts === 0).flatMap((it) => it.streamIds),
    );
    const toRead = new Map<string, Aggregate>();
    for (const [streamId, aggregate] of wanted) {
      const state = known.get(streamId);
      if (state !== undefined) {
        states.set(streamId, { version: state.version, state: state.state });
        if (state.isOutdated === true) doubtful.delete(streamId);
        else doubtful.add(streamId);
      }
      if (!doubtful.has(streamId)) toRead.set(streamId, aggregate);
    }
    if (toRead.size > 0) {
      for (const [streamId, state] of await this.#states.load(toRead, states)) {
        states.set(streamId, state);
        if (state.unreadable === undefined) known.set(streamId, state);
      }
    }
    return { states, doubtful };
  }

  /** The rows of each aggregate's facts that the commands name. */
  async facts(batch: readonly AcceptedCommand[]): Promise<Map<Aggregate, ReadonlyMap<string, unknown>>> {
    const keys = new Map<Aggregate, Set<string>>();
    for (const { aggregate, definition, data, refusal } of batch) {
      const named = refusal === undefined ? (definition.facts?.(data) ?? []) : [];
      const known = keys.get(aggregate) ?? new Set();
      for (const key of named) known.add(key);
      keys.set(aggregate, known);
    }
    const loaded = [...keys].map(async ([aggregate, named]) => {
      const rows = await this.#facts.get(aggregate)?.([...named]);
      return [aggregate, rows ?? new Map()] as const;
    });
    return new Map(await Promise.all(loaded));
  }

  /** The streams of the commands that come along with a command. */
  companionStreams(definition: CommandDefinition, data: AcceptedCommand['data']): string[] {
    return this.#companions(definition, data).map(({ streamId }) => streamId);
  }

  #wantedStreams(batch: readonly AcceptedCommand[]): Map<string, Aggregate> {
    const wanted = new Map<string, Aggregate>();
    for (const { streamId, aggregate, definition, data, refusal } of batch) {
      wanted.set(streamId, aggregate);
      if (refusal !== undefined) continue;
      for (const companion of this.#companions(definition, data)) wanted.set(companion.streamId, companion.aggregate);
    }
    return wanted;
  }

  #companions(definition: CommandDefinition, data: AcceptedCommand['data']) {
    return (definition.companions?.(data) ?? []).map((companion) => {
      const { aggregate, aggregateId } = companionTarget(this.#aggregates, companion);
      return { aggregate, streamId: streamIdOf(aggregate.type, aggregateId) };
    });
  }
}
