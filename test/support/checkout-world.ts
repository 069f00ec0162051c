import { randomUUID } from 'node:crypto';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import type { Aggregate } from '../../src/eventsourcing/commands/aggregate.ts';
import { type AnyCommand, type AnyEvent, isRejection } from '../../src/eventsourcing/commands/decider.ts';
import type { Rejection } from '../../src/eventsourcing/commands/rejection.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import type {
  CommandRefusal,
  ProcessEffect,
  ProcessInput,
  ProcessManager,
} from '../../src/eventsourcing/processes/process-manager.ts';
import type { Checkout, CheckoutState } from '../../src/processes/checkout-state.ts';
import { AGGREGATES } from './checkout-aggregates.ts';
import { handle } from './given-process.ts';
import type { ModelOutside } from './model-outside.ts';

interface Stream {
  readonly aggregate: Aggregate;
  readonly id: string;
  readonly log: RecordedEvent[];
  state: unknown;
}

/** A command on its way. `sender`: of a process; what an aggregate sent has none, and its refusal goes nowhere. */
interface SentCommand {
  readonly kind: 'send';
  readonly command: AnyCommand;
  readonly commandId: string;
  readonly sender: Instance | undefined;
}

interface Instance {
  readonly id: string;
  readonly events: AnyEvent[];
  readonly timers: Map<string, Date>;
  state: CheckoutState;
}

/** Told when a command that waits is answered: by then what the answer says must be stored. */
type WhenConcluded = (world: CheckoutWorld, commandId: string, outcome: Rejection | 'SUCCEEDED') => void;

type Waiting = ProcessInput<unknown> | SentCommand;

interface Lane {
  readonly instance: Instance | undefined;
  readonly waiting: Waiting[];
}

/**
 * Everything that an order touches, with its real deciders, the process of its checkout, and what is under way between
 * them, in memory: the engine's promises and no more. Lanes go on in any order, and people come in between.
 */
export class CheckoutWorld {
  readonly streams = new Map<string, Stream>();
  readonly checkouts = new Map<string, Instance>();
  /** What became of commands that wait for their process, by their ids; the first outcome stays. */
  readonly outcomes = new Map<string, Rejection | 'SUCCEEDED'>();
  /** Commands whose outcome their process decides. */
  readonly awaiting = new Map<string, AnyCommand>();
  now = new Date('2030-01-31T12:00:00Z');
  readonly #process: ProcessManager;
  readonly #outside: ModelOutside;
  readonly #facts: ReadonlyMap<string, unknown>;
  readonly #whenConcluded: WhenConcluded;
  readonly #lanes = new Map<string, Lane>();
  #position = 0;

  constructor(
    process: ProcessManager,
    outside: ModelOutside,
    facts: ReadonlyMap<string, unknown>,
    whenConcluded: WhenConcluded = () => {},
  ) {
    this.#process = process;
    this.#whenConcluded = whenConcluded;
    this.#outside = outside;
    this.#facts = facts;
  }

  /** Runs a command at once, with its companions. @returns its events, or why there are none */
  run(sent: AnyCommand, actor: Actor, commandId: string = randomUUID(), performed?: unknown) {
    const { definition, command, stream } = this.#targetOf(sent);
    const others = definition.companions?.(command.data as never) ?? [];
    const decided: { stream: Stream; events: readonly AnyEvent[] }[] = [];
    for (const each of [{ command, stream }, ...others.map((it) => this.#targetOf(it))]) {
      const { decider } = each.stream.aggregate;
      const context = { actor, now: this.now, facts: this.#facts, performed };
      const decision = decider.decide(each.command, each.stream.state, context);
      if (isRejection(decision)) return decision;
      decided.push({ stream: each.stream, events: decision });
    }
    const all = decided.flatMap((it) => it.events.map((event) => this.#append(it.stream, event, actor, commandId)));
    if (definition.concludedByProcess === true && all.length > 0) this.awaiting.set(commandId, command);
    return all;
  }

  /** The state of an aggregate; what it begins with, where nothing happened yet. */
  stateOf(type: string, id: string): unknown {
    return this.#stream(type, id).state;
  }

  logOf(type: string, id: string): readonly RecordedEvent[] {
    return this.#stream(type, id).log;
  }

  /** Undefined: it has not begun. */
  checkoutOf(orderId: string): Checkout | undefined {
    const state = this.checkouts.get(orderId)?.state;
    return state === undefined || state.phase === 'not begun' ? undefined : state;
  }

  /** Takes what is first in a lane. @param twice once more, as if nobody had noticed that it was done */
  work(at: number, twice = false): void {
    const lane = this.#lane(at);
    const first = lane?.waiting.shift();
    if (lane === undefined || first === undefined) return;
    this.#do(lane, first);
    if (!twice) return;
    const before = this.#happened(lane);
    this.#do(lane, first, false);
    if (this.#happened(lane) !== before) throw new Error(`Twice: ${JSON.stringify(first)}`);
  }

  /** Goes on with those lanes alone whose names begin so, until nothing waits there. */
  workOn(prefix: string): void {
    for (;;) {
      const [, lane] = [...this.#lanes].find(([key, it]) => key.startsWith(prefix) && it.waiting.length > 0) ?? [];
      const first = lane?.waiting.shift();
      if (lane === undefined || first === undefined) return;
      this.#do(lane, first);
    }
  }

  /** An operator gives up a command that waits first in a lane, or its time is over; it never runs. */
  refuse(at: number, status: CommandRefusal['status']): void {
    this.#refuseFirst(this.#lane(at), status);
  }

  /** The same, of the lane of this name. */
  refuseIn(name: string, status: CommandRefusal['status']): void {
    this.#refuseFirst(this.#lanes.get(name), status);
  }

  #refuseFirst(lane: Lane | undefined, status: CommandRefusal['status']): void {
    const first = lane?.waiting[0];
    if (lane === undefined || first?.kind !== 'send' || first.sender === undefined) return;
    lane.waiting.shift();
    this.#refused(first, status, null);
  }

  /** Lets time pass; timers that are due then wait in their lanes. */
  pass(ms: number): void {
    this.now = new Date(this.now.getTime() + ms);
    for (const instance of this.checkouts.values()) {
      for (const [timer, dueAt] of instance.timers) {
        if (dueAt > this.now) continue;
        instance.timers.delete(timer);
        this.#laneOf(instance).waiting.push({ kind: 'timer', timer, dueAt });
      }
    }
  }

  /** Goes on until nothing waits, no timer is set, and the outside has nothing to tell. @throws where that does not come */
  settle(): void {
    for (let steps = 0; steps < 5_000; steps += 1) {
      if (this.#lane(0) !== undefined) {
        this.work(steps);
        continue;
      }
      const before = this.#position;
      this.#outside.endRefunds('succeeded');
      for (const command of this.#outside.news()) this.run(command, { kind: 'SERVICE', id: 'webhook' });
      if (this.#position > before) continue;
      const due = [...this.checkouts.values()].flatMap(({ timers }) => [...timers.values()]);
      if (due.length === 0) return;
      this.pass(Math.max(0, Math.min(...due.map((it) => it.getTime())) - this.now.getTime()));
    }
    throw new Error('It does not come to an end.');
  }

  #do(lane: Lane, first: Waiting, answers = true): void {
    if (first.kind !== 'send') {
      if (lane.instance !== undefined) this.#handle(lane.instance, first);
      return;
    }
    const { command, commandId, sender } = first;
    const { definition, stream } = this.#targetOf(command);
    const performed = definition.performed === true ? this.#outside.perform(command, stream.state) : undefined;
    const actor = { kind: sender === undefined ? 'SERVICE' : 'PROCESS', id: 'checkout' } as const;
    const result = this.run(command, actor, commandId, performed);
    if (answers && isRejection(result)) this.#refused(first, 'REJECTED', result);
  }

  #refused({ sender, command, commandId }: SentCommand, status: CommandRefusal['status'], rejection: Rejection | null) {
    if (sender === undefined) return;
    const refusal = { commandId, name: command.type, status, rejection };
    this.#laneOf(sender).waiting.push({ kind: 'refusal', refusal });
  }

  #handle(instance: Instance, input: ProcessInput<unknown>): void {
    const context = { instanceId: instance.id, now: this.now };
    const { events, effects, state } = handle(this.#process, instance.state, input, context);
    this.#position += events.length;
    instance.events.push(...events);
    instance.state = state as CheckoutState;
    for (const effect of effects) this.#bring(effect, instance);
  }

  #bring(effect: ProcessEffect, sender: Instance | undefined): void {
    switch (effect.kind) {
      case 'send': {
        const { definition, command, stream } = this.#targetOf(effect.command);
        const commandId = randomUUID();
        const own = definition.performed === true ? ` ${commandId}` : '';
        const sent = { kind: 'send', command, commandId, sender } as const;
        this.#laneAt(`${stream.aggregate.type} ${stream.id}${own}`).waiting.push(sent);
        return;
      }
      case 'setTimer':
        sender?.timers.set(effect.timer, effect.dueAt);
        return;
      case 'cancelTimer':
        sender?.timers.delete(effect.timer);
        return;
      case 'conclude': {
        const { commandId, rejection: outcome = 'SUCCEEDED' } = effect;
        if (!this.awaiting.has(commandId)) throw new Error(`Nobody waits for ${commandId}.`);
        if (this.outcomes.has(commandId)) return;
        this.outcomes.set(commandId, outcome);
        this.#whenConcluded(this, commandId, outcome);
        return;
      }
      default:
        effect satisfies never;
    }
  }

  #append(stream: Stream, event: AnyEvent, actor: Actor, commandId: string): RecordedEvent {
    this.#position += 1;
    const { aggregate, id: aggregateId, log } = stream;
    const { type: aggregateType } = aggregate;
    const recorded: RecordedEvent = {
      ...{ eventId: randomUUID(), schemaVersion: 1, correlationId: commandId, causationId: commandId },
      ...{ streamId: `${aggregateType}-${aggregateId}`, aggregateType, aggregateId, version: log.length + 1 },
      ...{ position: this.#position, recordedAt: this.now, actor, commandId, type: event.type, data: event.data },
    };
    log.push(recorded);
    stream.state = aggregate.decider.evolve(stream.state, event);
    for (const effect of aggregate.effectsOf?.(event, stream.state, { aggregateId, now: this.now }) ?? []) {
      if (effect.kind === 'send') this.#bring(effect, undefined);
    }
    const process = this.#process;
    const id = process.eventTypes.includes(event.type) ? process.instanceOf(recorded) : undefined;
    if (id === undefined) return recorded;
    const input = { kind: 'message', message: process.messageOf(recorded), at: this.now } as const;
    this.#laneOf(this.#checkout(id)).waiting.push(input);
    return recorded;
  }

  /** The command as its schema reads it, and what takes it. @throws where there is no such command, or it is not valid */
  #targetOf({ type, data }: AnyCommand) {
    for (const aggregate of AGGREGATES) {
      const definition = aggregate.commands.find(({ name }) => name === type);
      if (definition === undefined) continue;
      const input = definition.input.parse(data);
      const stream = this.#stream(aggregate.type, definition.aggregateId(input));
      return { definition, command: { type, data: input }, stream };
    }
    throw new Error(`Nobody takes ${type}.`);
  }

  #stream(type: string, id: string): Stream {
    const aggregate = AGGREGATES.find((it) => it.type === type);
    if (aggregate === undefined) throw new Error(`There is no ${type}.`);
    const key = `${type} ${id}`;
    const stream = this.streams.get(key) ?? { aggregate, id, log: [], state: aggregate.decider.initialState };
    this.streams.set(key, stream);
    return stream;
  }

  #checkout(id: string): Instance {
    const begun = { id, events: [], timers: new Map<string, Date>(), state: { phase: 'not begun' } as const };
    const instance: Instance = this.checkouts.get(id) ?? begun;
    this.checkouts.set(id, instance);
    return instance;
  }

  #laneOf(instance: Instance): Lane {
    return this.#laneAt(`checkout ${instance.id}`, instance);
  }

  #laneAt(key: string, instance?: Instance): Lane {
    const lane = this.#lanes.get(key) ?? { instance, waiting: [] };
    this.#lanes.set(key, lane);
    return lane;
  }

  #lane(at: number): Lane | undefined {
    const lanes = [...this.#lanes.values()].filter(({ waiting }) => waiting.length > 0);
    return lanes[at % lanes.length];
  }

  #happened({ instance }: Lane): number {
    return instance === undefined ? this.#position : instance.events.length;
  }
}
