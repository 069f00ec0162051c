import { randomUUID } from 'node:crypto';
import type { CartCommand } from '../../src/contexts/cart/commands.ts';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { type CartRow, cartProjection } from '../../src/contexts/cart/projection.ts';
import type { CartState } from '../../src/contexts/cart/state.ts';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import type { AnyEvent } from '../../src/eventsourcing/commands/decider.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { type Rejection, versionConflict } from '../../src/eventsourcing/commands/rejection.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import type {
  CommandRefusal,
  ProcessEffect,
  ProcessInput,
  ProcessManager,
} from '../../src/eventsourcing/processes/process-manager.ts';
import type { selling } from './carts.ts';
import { handle } from './given-process.ts';

type SentCommand = Extract<ProcessEffect, { kind: 'send' }> & { readonly commandId: string };

/** What waits for its turn: commands for one cart, or inputs for one instance of a process; in order. */
interface Lane {
  readonly instance: Instance | undefined;
  readonly waiting: (ProcessInput<unknown> | (SentCommand & { readonly sender: Instance }))[];
}

interface Instance {
  readonly process: ProcessManager;
  readonly id: string;
  readonly events: AnyEvent[];
  readonly timers: Map<string, Date>;
  state: unknown;
}

interface Cart {
  state: CartState;
  row: CartRow | undefined;
  readonly log: RecordedEvent[];
}

/**
 * Carts, processes, and what is under way between them, in memory: the engine's promises and no more. Lanes go on in any
 * order, and shoppers come in between.
 */
export class CartWorld {
  readonly carts = new Map<string, Cart>();
  readonly instances = new Map<string, Instance>();
  /** What became of commands that a process decides the outcome of. */
  readonly outcomes = new Map<string, (Rejection | 'SUCCEEDED')[]>();
  now = new Date('2030-01-31T12:00:00Z');
  readonly #processes: readonly ProcessManager[];
  readonly #facts: ReturnType<typeof selling>['facts'];
  readonly #lanes = new Map<string, Lane>();
  #position = 0;

  constructor(processes: readonly ProcessManager[], facts: ReturnType<typeof selling>['facts']) {
    this.#processes = processes;
    this.#facts = facts;
  }

  /** Runs a command at once. @returns its events, or why there are none */
  run(command: CartCommand, actor: Actor, commandId: string = randomUUID(), expectedVersion?: number) {
    const { cartId } = command.data;
    const cart = this.#cart(cartId);
    const decision = cartDecider.decide(command, cart.state, { actor, now: this.now, facts: this.#facts });
    if (expectedVersion !== undefined && expectedVersion !== cart.log.length) {
      return versionConflict(expectedVersion, cart.log.length);
    }
    if (isRejection(decision)) return decision;
    return decision.map((event) => this.#append(cart, cartId, event, actor, commandId));
  }

  /** How many lanes have something waiting. */
  get busy(): number {
    return this.#busyLanes().length;
  }

  /** Takes what is first in a lane. @param twice once more, as if nobody had noticed that it was done */
  work(at: number, twice = false): void {
    const lane = this.#lane(at);
    const first = lane?.waiting.shift();
    if (lane === undefined || first === undefined) return;
    this.#do(lane, first);
    if (!twice) return;
    const before = this.#position + this.#eventCount(lane);
    this.#do(lane, first, false);
    if (this.#position + this.#eventCount(lane) !== before) throw new Error(`Twice: ${JSON.stringify(first)}`);
  }

  /** An operator gives up a command that waits first in a lane, or its time is over; it never runs. */
  refuse(at: number, status: CommandRefusal['status']): void {
    const lane = this.#lane(at);
    const first = lane?.waiting[0];
    if (lane === undefined || first === undefined || first.kind !== 'send') return;
    lane.waiting.shift();
    this.#refused(first, status, null);
  }

  /** Lets time pass; timers that are due then wait in their lanes. */
  pass(ms: number): void {
    this.now = new Date(this.now.getTime() + ms);
    for (const instance of this.instances.values()) {
      for (const [timer, dueAt] of instance.timers) {
        if (dueAt > this.now) continue;
        instance.timers.delete(timer);
        this.#laneOf(instance).waiting.push({ kind: 'timer', timer, dueAt });
      }
    }
  }

  /** Goes on until nothing waits and no timer is set. @throws where that does not come */
  settle(): void {
    for (let steps = 0; steps < 10_000; steps += 1) {
      if (this.busy > 0) {
        this.work(steps);
        continue;
      }
      const due = [...this.instances.values()].flatMap(({ timers }) => [...timers.values()]);
      if (due.length === 0) return;
      this.pass(Math.max(0, Math.min(...due.map((it) => it.getTime())) - this.now.getTime()));
    }
    throw new Error('It does not come to an end.');
  }

  #do(lane: Lane, first: Lane['waiting'][number], answers = true): void {
    if (first.kind !== 'send') {
      if (lane.instance !== undefined) this.#handle(lane.instance, first);
      return;
    }
    const actor = { kind: 'PROCESS', id: first.sender.process.name } as const;
    const result = this.run(first.command as CartCommand, actor, first.commandId, first.expectedVersion);
    if (answers && isRejection(result)) this.#refused(first, 'REJECTED', result);
  }

  #refused(
    { sender, command, commandId }: SentCommand & { sender: Instance },
    status: CommandRefusal['status'],
    rejection: Rejection | null,
  ) {
    const refusal = { commandId, name: command.type, status, rejection };
    this.#laneOf(sender).waiting.push({ kind: 'refusal', refusal });
  }

  #handle(instance: Instance, input: ProcessInput<unknown>): void {
    const { latest } = instance.process;
    if (input.kind !== 'message' && latest !== undefined) {
      const log = [...this.carts.values()].flatMap((cart) => cart.log);
      const newest = log.findLast(
        ({ streamId, type }) => streamId === latest.streamOf(instance.id) && latest.eventTypes.includes(type),
      );
      if (newest !== undefined) {
        this.#decide(instance, { kind: 'message', message: latest.messageOf(newest), at: newest.recordedAt });
      }
    }
    this.#decide(instance, input);
  }

  #decide(instance: Instance, input: ProcessInput<unknown>): void {
    const context = { instanceId: instance.id, now: this.now };
    const { events, effects, state } = handle(instance.process, instance.state, input, context);
    instance.events.push(...events);
    instance.state = state;
    for (const effect of effects) this.#bring(instance, effect);
  }

  #bring(instance: Instance, effect: ProcessEffect): void {
    switch (effect.kind) {
      case 'send': {
        const { cartId } = (effect.command as CartCommand).data;
        this.#laneAt(`cart ${cartId}`).waiting.push({ ...effect, commandId: randomUUID(), sender: instance });
        return;
      }
      case 'setTimer':
        instance.timers.set(effect.timer, effect.dueAt);
        return;
      case 'cancelTimer':
        instance.timers.delete(effect.timer);
        return;
      case 'conclude':
        this.outcomes.set(effect.commandId, [
          ...(this.outcomes.get(effect.commandId) ?? []),
          effect.rejection ?? 'SUCCEEDED',
        ]);
        return;
      default:
        effect satisfies never;
    }
  }

  #append(cart: Cart, cartId: string, event: CartEvent, actor: Actor, commandId: string): RecordedEvent {
    this.#position += 1;
    const recorded: RecordedEvent = {
      ...{ eventId: randomUUID(), schemaVersion: 1, correlationId: commandId, causationId: commandId },
      ...{ streamId: `cart-${cartId}`, aggregateType: 'cart', aggregateId: cartId, version: cart.log.length + 1 },
      ...{ position: this.#position, recordedAt: this.now, actor, commandId, type: event.type, data: event.data },
    };
    cart.log.push(recorded);
    cart.state = cartDecider.evolve(cart.state, event);
    cart.row = cartProjection.evolveRow(cart.row, recorded);
    for (const process of this.#processes) {
      const id = process.eventTypes.includes(event.type) ? process.instanceOf(recorded) : undefined;
      if (id === undefined) continue;
      const input = { kind: 'message', message: process.messageOf(recorded), at: this.now } as const;
      this.#laneOf(this.#instance(process, id)).waiting.push(input);
    }
    return recorded;
  }

  #cart(cartId: string): Cart {
    const cart = this.carts.get(cartId) ?? { state: cartDecider.initialState, row: undefined, log: [] };
    this.carts.set(cartId, cart);
    return cart;
  }

  #instance(process: ProcessManager, id: string): Instance {
    const key = `${process.name} ${id}`;
    const known = this.instances.get(key) ?? {
      process,
      id,
      events: [],
      timers: new Map(),
      state: process.initialState,
    };
    this.instances.set(key, known);
    return known;
  }

  #laneOf(instance: Instance): Lane {
    return this.#laneAt(`${instance.process.name} ${instance.id}`, instance);
  }

  #laneAt(key: string, instance?: Instance): Lane {
    const lane = this.#lanes.get(key) ?? { instance, waiting: [] };
    this.#lanes.set(key, lane);
    return lane;
  }

  #lane(at: number): Lane | undefined {
    const lanes = this.#busyLanes();
    return lanes[at % lanes.length];
  }

  #busyLanes(): Lane[] {
    return [...this.#lanes.values()].filter(({ waiting }) => waiting.length > 0);
  }

  #eventCount({ instance }: Lane): number {
    return instance?.events.length ?? 0;
  }
}
