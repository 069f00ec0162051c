import type { AnyCommand, AnyEvent } from '../commands/decider.ts';
import type { Rejection } from '../commands/rejection.ts';
import type { EventDefinition, RecordedEvent } from '../log/event.ts';

/** Why a command that a process sent changed nothing. */
export interface CommandRefusal {
  readonly commandId: string;
  /** Of its definition: `TakeInCartLines`. */
  readonly name: string;
  /** DROPPED: it broke, and an operator gave it up. It never ran, and never will. */
  readonly status: 'REJECTED' | 'TIMED_OUT' | 'CANCELLED' | 'DROPPED';
  /** Of a rejected command. */
  readonly rejection: Rejection | null;
}

/** What a process reacts to. `at`: when it became so. */
export type ProcessInput<Message> =
  | { readonly kind: 'message'; readonly message: Message; readonly at: Date }
  | { readonly kind: 'timer'; readonly timer: string; readonly dueAt: Date }
  | { readonly kind: 'refusal'; readonly refusal: CommandRefusal };

/** What an event of a process brings about, stored in the same append as the event. */
export type ProcessEffect =
  /** Runs a command, behind those that wait for the same aggregate. Refused, it comes back as a refusal. */
  | { readonly kind: 'send'; readonly command: AnyCommand; readonly expectedVersion?: number }
  /** Sets a timer; one of the same name is replaced. One that is firing already cannot be: compare its `dueAt`. */
  | { readonly kind: 'setTimer'; readonly timer: string; readonly dueAt: Date }
  | { readonly kind: 'cancelTimer'; readonly timer: string }
  /** Gives the command that this process decides the outcome of (`concludedByProcess`) its outcome, for good. */
  | { readonly kind: 'conclude'; readonly commandId: string; readonly rejection?: Rejection };

/** RUNNING: something is still to come. COMPENSATED: it could not be done, and what was done was taken back. */
export type ProcessStatus = 'RUNNING' | 'COMPLETED' | 'COMPENSATED';

/** What an event of a process means to whoever looks at the process. */
export interface ProcessStepView {
  readonly step: string;
  readonly stepStatus: 'DONE' | 'WAITING' | 'FAILED' | 'UNDONE';
  readonly detail: string | null;
  /** Of the whole process, after this; absent: as it was. */
  readonly status?: ProcessStatus | undefined;
}

export interface ProcessContext {
  readonly instanceId: string;
  readonly now: Date;
}

/**
 * A process manager: reacts to messages of contexts and to timers with commands and timers, and remembers in events of
 * its own. Pure: given(events).when(input).then(events), and the effects of an event.
 *
 * Each input is handled once in effect, and those of one instance one after the other. What a process sends has an id
 * derived from the input, so a repeat changes nothing.
 */
export interface ProcessManager<State = unknown, Message = unknown, Event extends AnyEvent = AnyEvent> {
  /** `merging-carts`: the type of its streams and the actor of its commands. */
  readonly name: string;
  readonly description: string;
  readonly events: readonly EventDefinition[];
  /** Types of the log's events whose messages it takes. */
  readonly eventTypes: readonly string[];
  /** Which instance an event of these types is for; undefined for none. */
  instanceOf(event: RecordedEvent): string | undefined;
  /** The message that such an event is published as. */
  messageOf(event: RecordedEvent): Message;
  /**
   * Messages that need not be handled when they come, only before a timer or a refusal is: then the newest of the stream
   * is handled first, perhaps for the second time. So what changes all the time costs nothing until it matters.
   */
  readonly latest?: {
    readonly eventTypes: readonly string[];
    streamOf(instanceId: string): string;
    messageOf(event: RecordedEvent): Message;
  };
  /** Types of events that an instance comes to its end with, as those of an aggregate: then it is archived one day. */
  readonly endsWith?: readonly Event['type'][];
  readonly initialState: State;
  decide(input: ProcessInput<Message>, state: State, context: ProcessContext): readonly Event[];
  evolve(state: State, event: Event): State;
  /** @param state after the event */
  effectsOf(event: Event, state: State, context: ProcessContext): readonly ProcessEffect[];
  view(event: Event): ProcessStepView;
}
