import { expect } from 'vitest';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import type { AnyCommand, AnyEvent, Decider, DecisionContext } from '../../src/eventsourcing/commands/decider.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';

export const STAFF: Actor = { kind: 'STAFF', id: 'anna' };
export const GUEST: Actor = { kind: 'GUEST', id: 'visitor' };
export const ANONYMOUS: Actor = { kind: 'ANONYMOUS', id: null };
export const customer = (id: string): Actor => ({ kind: 'CUSTOMER', id });

/** `given(decider, events).when(command, context).thenEvents(events)`, or `.thenRejected(rejection)`. */
export function given<State, Command extends AnyCommand, Event extends AnyEvent, Fact>(
  decider: Decider<State, Command, Event, Fact>,
  events: readonly Event[],
) {
  return {
    when(command: Command, context: Partial<DecisionContext<Fact>> = {}) {
      const state = events.reduce((current, event) => decider.evolve(current, event), decider.initialState);
      const decision = decider.decide(command, state, {
        actor: ANONYMOUS,
        now: new Date('2030-01-31T12:00:00Z'),
        facts: new Map(),
        ...context,
      });
      return {
        decision,
        /** These events, exactly. */
        thenEvents(expected: readonly Event[]) {
          expect(decision).toEqual(expected);
        },
        /** A rejection with at least these members. */
        thenRejected(expected: Readonly<Record<string, unknown>>) {
          expect(isRejection(decision) ? decision : { events: decision }).toMatchObject(expected);
        },
      };
    },
  };
}
