import type { Ids } from '../../platform/ids.ts';
import type { JsonObject } from '../json.ts';
import type { AppendUnit, NewCommandRecord, NewEvent, StreamMove } from '../log/append-unit.ts';
import { forgottenBy, type UnreadableEvent } from '../log/event.ts';
import { streamIdOf } from '../log/stream-id.ts';
import type { Effect } from '../processes/effect.ts';
import { WorkDraft } from '../processes/effect-work.ts';
import type { AcceptedCommand, QueuedRun } from './accepted-command.ts';
import { type Aggregate, definitionOf } from './aggregate.ts';
import { NotRun } from './command.ts';
import { type AnyCommand, type AnyEvent, isRejection } from './decider.ts';
import { isStored, type Rejection, versionConflict } from './rejection.ts';

/** An aggregate's state at a version. */
export interface StreamState {
  readonly version: number;
  readonly state: unknown;
  /** What comes next in the stream cannot be read: nothing may be decided from this. */
  readonly unreadable?: UnreadableEvent;
}

/** A command with the outcome that it has if its unit is appended. */
export interface DecidedCommand<Command extends AcceptedCommand> {
  readonly command: Command;
  readonly rejection: Rejection | undefined;
  readonly version: number;
  /** How many of its unit's events are its own; they come in a row, in the order of the unit's commands. */
  readonly eventCount: number;
}

/** What is appended together because it touches the same streams. */
export interface Unit<Command extends AcceptedCommand> extends AppendUnit {
  readonly decided: readonly DecidedCommand<Command>[];
}

interface MutableUnit<Command extends AcceptedCommand> {
  streams: Map<string, StreamMove>;
  commands: NewCommandRecord[];
  events: NewEvent[];
  decided: DecidedCommand<Command>[];
  /** Most units have nothing to do beside their events. */
  draft: WorkDraft | undefined;
}

/** The events of one command for one stream. */
interface Part {
  readonly aggregate: Aggregate;
  readonly aggregateId: string;
  readonly streamId: string;
  readonly before: StreamState;
  readonly after: StreamState;
  readonly events: readonly AnyEvent[];
  readonly effects: readonly Effect[];
}

/**
 * Decides commands one after the other, in memory. Commands of one stream see what those before them decided, and end
 * in the same unit: so a hot aggregate takes many commands in one append, and never conflicts with itself.
 */
export class DecisionBatch<Command extends AcceptedCommand> {
  /** Rejections that are not stored. They hold only if the units of the command's streams are appended. */
  readonly unstored: { readonly command: Command; readonly rejection: Rejection }[] = [];
  readonly failed: { readonly command: Command; readonly error: unknown }[] = [];
  readonly #states: Map<string, StreamState>;
  readonly #aggregates: ReadonlyMap<string, Aggregate>;
  readonly #facts: ReadonlyMap<Aggregate, ReadonlyMap<string, unknown>>;
  readonly #now: Date;
  readonly #ids: Ids;
  readonly #units = new Map<string, MutableUnit<Command>>();
  /** Lanes in which a command has just failed, perhaps only because its state was outdated. */
  readonly #broken = new Set<object>();

  /**
   * @param states of every stream that the commands touch; brought up to what was decided
   * @param aggregates by the name of the commands that they take
   */
  constructor(
    states: Map<string, StreamState>,
    aggregates: ReadonlyMap<string, Aggregate>,
    facts: ReadonlyMap<Aggregate, ReadonlyMap<string, unknown>>,
    now: Date,
    ids: Ids,
  ) {
    this.#states = states;
    this.#aggregates = aggregates;
    this.#facts = facts;
    this.#now = now;
    this.#ids = ids;
  }

  get units(): Unit<Command>[] {
    return [...new Set(this.#units.values())].map(({ streams, commands, events, decided, draft }) => ({
      streams: [...streams.values()],
      commands,
      events,
      decided,
      work: draft?.work,
    }));
  }

  decide(command: Command): void {
    const { queued } = command;
    try {
      if (queued !== undefined) this.#checkTurn(queued);
      const { expectedVersion } = command.request;
      const { version } = this.#state(command.streamId, command.aggregate);
      const decision = command.refusal ?? this.#decideWithCompanions(command);
      // To whom it is not there, its version and events are not told either.
      const isHidden =
        !Array.isArray(decision) && decision.code === 'NOT_FOUND' && decision['id'] === command.aggregateId;
      const isConflict = !isHidden && expectedVersion !== undefined && expectedVersion !== version;
      const outcome = isConflict ? versionConflict(expectedVersion, version, queued !== undefined) : decision;
      if (!Array.isArray(outcome)) {
        // Nobody waits for a queued command who could mend it and send it again: its rejection is its outcome.
        if (isStored(outcome) || queued !== undefined) this.#add(command, this.#allUnchanged(command), outcome);
        else this.unstored.push({ command, rejection: outcome });
        return;
      }
      this.#add(command, outcome, undefined);
      for (const part of outcome) this.#states.set(part.streamId, part.after);
    } catch (error) {
      if (queued !== undefined) this.#broken.add(queued.lane);
      this.failed.push({ command, error });
    }
  }

  /** @throws {NotRun} where a queued command must not be run now */
  #checkTurn({ lane, deadline }: QueuedRun): void {
    if (lane.isBroken || this.#broken.has(lane)) throw new NotRun('A command before it broke.');
    if (deadline !== null && deadline <= this.#now) throw new NotRun('Its deadline has passed.');
  }

  #decideWithCompanions(command: Command): Part[] | Rejection {
    const { definition, data, aggregate, aggregateId } = command;
    const own = this.#decidePart(command, { type: definition.name, data }, aggregate, aggregateId);
    if ('code' in own) return own;
    const parts = [own];
    for (const companion of definition.companions?.(data) ?? []) {
      const target = companionTarget(this.#aggregates, companion);
      const part = this.#decidePart(command, companion, target.aggregate, target.aggregateId);
      if ('code' in part) return part;
      parts.push(part);
    }
    return parts;
  }

  #decidePart(
    command: Command,
    { type, data }: AnyCommand,
    aggregate: Aggregate,
    aggregateId: string,
  ): Part | Rejection {
    const streamId = streamIdOf(aggregate.type, aggregateId);
    const before = this.#state(streamId, aggregate);
    const facts = this.#facts.get(aggregate) ?? new Map();
    const context = { actor: command.request.actor, now: this.#now, facts, performed: command.performed };
    const decision = aggregate.decider.decide({ type, data }, before.state, context);
    if (isRejection(decision)) return decision;
    let { state } = before;
    const effects: Effect[] = [];
    for (const event of decision) {
      state = aggregate.decider.evolve(state, event);
      effects.push(...(aggregate.effectsOf?.(event, state, { aggregateId, now: this.#now }) ?? []));
      const subject = forgottenBy(definitionOf(aggregate, event), event.data);
      if (subject !== undefined) effects.push({ kind: 'forgetSubject', subject });
    }
    const after = { version: before.version + decision.length, state };
    return { aggregate, aggregateId, streamId, before, after, events: decision, effects };
  }

  #allUnchanged(command: Command): Part[] {
    const companions = command.refusal === undefined ? (command.definition.companions?.(command.data) ?? []) : [];
    const targets = [command, ...companions.map((it) => companionTarget(this.#aggregates, it))];
    return targets.map((it) => this.#unchanged(it));
  }

  #unchanged({ aggregate, aggregateId }: { aggregate: Aggregate; aggregateId: string }): Part {
    const streamId = streamIdOf(aggregate.type, aggregateId);
    const before = this.#state(streamId, aggregate);
    return { aggregate, aggregateId, streamId, before, after: before, events: [], effects: [] };
  }

  /** @throws {UnreadableEvent} */
  #state(streamId: string, aggregate: Aggregate): StreamState {
    const known = this.#states.get(streamId);
    if (known?.unreadable !== undefined) throw known.unreadable;
    return known ?? { version: 0, state: aggregate.decider.initialState };
  }

  #add(command: Command, parts: readonly Part[], rejection: Rejection | undefined): void {
    // Whatever can throw comes before the unit is touched.
    const events = parts.flatMap((part) => part.events.map((event, at) => this.#event(command, part, event, at)));
    const draft = this.#draft(command, parts);
    const unit = this.#unitOf(parts.map((part) => part.streamId));
    const version = parts[0]?.after.version ?? 0;
    for (const { streamId, aggregate, aggregateId, before, after } of parts) {
      const decidedOn = unit.streams.get(streamId)?.decidedOn ?? before.version;
      unit.streams.set(streamId, {
        streamId,
        aggregateType: aggregate.type,
        aggregateId,
        decidedOn,
        version: after.version,
      });
    }
    unit.events.push(...events);
    joinDraft(unit, draft);
    unit.commands.push(record(command, rejection, version, events.length));
    unit.decided.push({ command, rejection, version, eventCount: events.length });
  }

  #draft(command: Command, parts: readonly Part[]): WorkDraft | undefined {
    const { queued, request } = command;
    if (queued === undefined && parts.every(({ effects }) => effects.length === 0)) return undefined;
    const draft = new WorkDraft(this.#aggregates);
    for (const { aggregate, aggregateId, effects } of parts) draft.add(effects, command, { aggregate, aggregateId });
    if (queued !== undefined) draft.claim(request.commandId, queued.node);
    return draft;
  }

  /** The one unit of all these streams: those that there are become one. */
  #unitOf(streamIds: readonly string[]): MutableUnit<Command> {
    const known = [...new Set(streamIds.flatMap((streamId) => this.#units.get(streamId) ?? []))];
    const unit: MutableUnit<Command> = known[0] ?? {
      streams: new Map(),
      commands: [],
      events: [],
      decided: [],
      draft: undefined,
    };
    for (const other of known.slice(1)) {
      for (const [streamId, move] of other.streams) unit.streams.set(streamId, move);
      unit.commands.push(...other.commands);
      unit.events.push(...other.events);
      unit.decided.push(...other.decided);
      joinDraft(unit, other.draft);
    }
    for (const streamId of [...streamIds, ...unit.streams.keys()]) this.#units.set(streamId, unit);
    return unit;
  }

  #event({ request }: Command, part: Part, event: AnyEvent, at: number): NewEvent {
    return {
      eventId: this.#ids.ordered(),
      type: event.type,
      schemaVersion: definitionOf(part.aggregate, event).schemaVersion,
      streamId: part.streamId,
      aggregateType: part.aggregate.type,
      aggregateId: part.aggregateId,
      version: part.before.version + at + 1,
      actor: request.actor,
      commandId: request.commandId,
      correlationId: request.correlationId,
      causationId: request.commandId,
      data: event.data,
    };
  }
}

/** Adds what comes after it. */
function joinDraft(unit: { draft: WorkDraft | undefined }, later: WorkDraft | undefined): void {
  if (unit.draft === undefined) unit.draft = later;
  else if (later !== undefined) unit.draft.join(later);
}

/** The aggregate that a companion command is for. */
export function companionTarget(aggregates: ReadonlyMap<string, Aggregate>, { type, data }: AnyCommand) {
  const aggregate = aggregates.get(type);
  const definition = aggregate?.commands.find((it) => it.name === type);
  if (aggregate === undefined || definition === undefined) throw new Error(`No aggregate takes the command ${type}.`);
  return { aggregate, aggregateId: definition.aggregateId(definition.input.parse(data)) };
}

function record(
  { request, definition, aggregate, aggregateId, encoded, fingerprint, submittedAt, attempts, queued }: AcceptedCommand,
  rejection: JsonObject | undefined,
  version: number,
  eventCount: number,
): NewCommandRecord {
  return {
    commandId: request.commandId,
    name: definition.name,
    aggregateType: aggregate.type,
    aggregateId,
    input: encoded,
    fingerprint,
    actorKind: request.actor.kind,
    actorId: request.actor.id,
    attempts: queued?.attempts ?? attempts,
    rejection,
    expectedVersion: request.expectedVersion,
    version,
    isRunning: definition.concludedByProcess === true && eventCount > 0,
    wasQueued: queued !== undefined,
    correlationId: request.correlationId,
    causationId: request.causationId ?? null,
    submittedAt: submittedAt.toISOString(),
  };
}
