import type { Actor } from '../actor.ts';
import type { Rejection } from './rejection.ts';

export interface AnyCommand {
  readonly type: string;
  readonly data: unknown;
}

export interface AnyEvent {
  readonly type: string;
  readonly data: unknown;
}

/** What a decision may depend on beside command and state; a decider has no other way to the world. */
export interface DecisionContext<Fact> {
  readonly actor: Actor;
  readonly now: Date;
  /** Rows of the context's own copy of other contexts' data, by key, as far as the command named them. */
  readonly facts: ReadonlyMap<string, Fact>;
  /** What the performer of a `performed` command came back with. */
  readonly performed?: unknown;
}

/** Events, none of which is a change that was no change; or a rejection. */
export type Decision<Event> = readonly Event[] | Rejection;

/**
 * One aggregate: pure, so that it can be tested as given(events).when(command).then(events | rejection).
 * After Jérémie Chassaing's decider.
 */
export interface Decider<State, Command extends AnyCommand, Event extends AnyEvent, Fact = never> {
  readonly initialState: State;
  decide(command: Command, state: State, context: DecisionContext<Fact>): Decision<Event>;
  evolve(state: State, event: Event): State;
}

export function isRejection<Event>(decision: Decision<Event>): decision is Rejection {
  return !Array.isArray(decision);
}
