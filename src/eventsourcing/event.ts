import type { z } from 'zod';
import type { Actor } from './actor.ts';

/** A type of event: its schema checks what is written, and makes the type that GraphQL clients see. */
export interface EventDefinition<Type extends string = string, Data extends z.ZodObject = z.ZodObject> {
  readonly type: Type;
  /** Rises with every change of `data`. */
  readonly schemaVersion: number;
  readonly description: string;
  readonly data: Data;
}

export function defineEvent<Type extends string, Data extends z.ZodObject>(
  definition: EventDefinition<Type, Data>,
): EventDefinition<Type, Data> {
  return definition;
}

/** The event that a decider works with: `{ type, data }`. */
export type EventOf<Definition> =
  Definition extends EventDefinition<infer Type, infer Data>
    ? { readonly type: Type; readonly data: Readonly<z.output<Data>> }
    : never;

/** An event as it stands in the log. */
export interface RecordedEvent<Data = unknown> {
  readonly eventId: string;
  readonly type: string;
  readonly schemaVersion: number;
  readonly streamId: string;
  readonly aggregateType: string;
  readonly aggregateId: string;
  /** Of the stream, counted from 1. */
  readonly version: number;
  /** In the one global order, counted from 1 without gaps. */
  readonly position: number;
  readonly recordedAt: Date;
  readonly actor: Actor;
  readonly commandId: string | null;
  readonly correlationId: string;
  readonly causationId: string | null;
  readonly data: Data;
}

/** A recorded event of a context's own types. */
export type RecordedEventOf<Definition> =
  Definition extends EventDefinition<infer Type, infer Data>
    ? RecordedEvent<Readonly<z.output<Data>>> & { readonly type: Type }
    : never;
