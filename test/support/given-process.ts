import { expect } from 'vitest';
import type { AnyEvent } from '../../src/eventsourcing/commands/decider.ts';
import type {
  CommandRefusal,
  ProcessContext,
  ProcessEffect,
  ProcessInput,
  ProcessManager,
} from '../../src/eventsourcing/processes/process-manager.ts';

export const NOW = new Date('2030-01-31T12:00:00Z');

/** `givenProcess(process, events).when(input, context).thenEvents(events).thenEffects(effects)`. */
export function givenProcess<State, Message, Event extends AnyEvent>(
  process: ProcessManager<State, Message, Event>,
  events: readonly Event[],
) {
  return {
    when(input: ProcessInput<Message>, context: Partial<ProcessContext> = {}) {
      const { events: decided, effects } = handle(process, stateAfter(process, events), input, {
        instanceId: 'instance',
        now: NOW,
        ...context,
      });
      const then = {
        /** These events, exactly. */
        thenEvents(expected: readonly Event[]) {
          expect(decided).toEqual(expected);
          return then;
        },
        /** These effects of all the events, exactly. */
        thenEffects(expected: readonly ProcessEffect[]): void {
          expect(effects).toEqual(expected);
        },
        thenNothing(): void {
          expect({ events: decided, effects }).toEqual({ events: [], effects: [] });
        },
      };
      return then;
    },
  };
}

export function stateAfter<State, Message, Event extends AnyEvent>(
  process: ProcessManager<State, Message, Event>,
  events: readonly Event[],
): State {
  return events.reduce((state, event) => process.evolve(state, event), process.initialState);
}

/** One input, as the engine has it handled: each event's effects are those in the state after it. */
export function handle<State, Message, Event extends AnyEvent>(
  process: ProcessManager<State, Message, Event>,
  before: State,
  input: ProcessInput<Message>,
  context: ProcessContext,
) {
  const events = process.decide(input, before, context);
  const effects: ProcessEffect[] = [];
  let state = before;
  for (const event of events) {
    state = process.evolve(state, event);
    effects.push(...process.effectsOf(event, state, context));
  }
  return { events, effects, state };
}

/** The input that a command of a process becomes which changed nothing. */
export function refused(name: string, changes: Partial<CommandRefusal> = {}) {
  const refusal = {
    commandId: 'of the refused command',
    name,
    status: 'REJECTED',
    rejection: null,
    ...changes,
  } as const;
  return { kind: 'refusal', refusal } as const;
}

export function due(timer: string, dueAt: Date) {
  return { kind: 'timer', timer, dueAt } as const;
}
