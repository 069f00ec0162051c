import { z } from 'zod';
import type { Actor } from '../actor.ts';

/** A type of event: its schema checks what is written, and makes the type that GraphQL clients see. */
export interface EventDefinition<Type extends string = string, Data extends z.ZodObject = z.ZodObject> {
  readonly type: Type;
  /** Rises with every change of `data`; 1 at first. */
  readonly schemaVersion: number;
  readonly description: string;
  readonly data: Data;
  /**
   * It says that somebody is to be forgotten: the member of `data` that names whom. Their keys are destroyed in the append
   * of the event, so there is never the one without the other.
   */
  readonly forgets?: keyof z.output<Data> & string;
  /** Every shape that it had before, from version 1 on: for what was written then and is read now. */
  readonly formerVersions?: readonly FormerVersion[];
}

/** A shape that a type of event had: events that were written in it stay as they are, and are upcast when they are read. */
export interface FormerVersion {
  readonly schemaVersion: number;
  /** With its own marks of what is personal: so it is opened as it was sealed. */
  readonly data: z.ZodObject;
  /**
   * The data in the shape of the next version. Pure, and the same for good: it reads what was written years ago. Whatever
   * is personal may be null: forgotten.
   */
  upcast(data: unknown): object;
}

/** @throws where its former versions are not all of those before its own, in order */
export function defineEvent<Type extends string, Data extends z.ZodObject>(
  definition: EventDefinition<Type, Data>,
): EventDefinition<Type, Data> {
  const { type, schemaVersion, formerVersions = [] } = definition;
  if (formerVersions.length !== schemaVersion - 1 || formerVersions.some((it, at) => it.schemaVersion !== at + 1))
    throw new Error(`${type} is at version ${schemaVersion}: it needs every version before that, from 1 on, in order.`);
  return definition;
}

const members = z.record(z.string(), z.unknown());

/** Whoever is to be forgotten with an event of this type and data; undefined for nobody. */
export function forgottenBy({ forgets }: Pick<EventDefinition, 'forgets'>, data: unknown): string | undefined {
  const subject = forgets === undefined ? undefined : members.safeParse(data).data?.[forgets];
  return typeof subject === 'string' && subject !== '' ? subject : undefined;
}

/** A former version, with an upcaster that takes what its schema gives. */
export function formerVersion<Data extends z.ZodObject>(former: {
  readonly schemaVersion: number;
  readonly data: Data;
  upcast(data: Readonly<z.output<Data>>): object;
}): FormerVersion {
  return former;
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
  /** Of the shape that its data has here: the newest, whichever it was written in. */
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
  /**
   * Present where this program cannot take the event for what it is: why. Most likely a newer one wrote it. `data` and
   * `schemaVersion` are as stored then, without what is protected. It can be shown: nothing is folded or decided from it.
   */
  readonly unreadable?: string;
}

/** This program cannot read an event that it would have to decide or fold from: nothing was changed. */
export class UnreadableEvent extends Error {
  override readonly name = 'UnreadableEvent';

  constructor({ type, position, unreadable }: Pick<RecordedEvent, 'type' | 'position' | 'unreadable'>) {
    super(`The event ${type} at position ${position} cannot be read: ${unreadable}`);
  }
}

/** For whoever folds events, or makes anything of what is in them. @throws {UnreadableEvent} */
export function mustBeReadable(event: RecordedEvent): void {
  if (event.unreadable !== undefined) throw new UnreadableEvent(event);
}

/** A recorded event of a context's own types. */
export type RecordedEventOf<Definition> =
  Definition extends EventDefinition<infer Type, infer Data>
    ? RecordedEvent<Readonly<z.output<Data>>> & { readonly type: Type }
    : never;
