import type { OutputRef } from '@pothos/core';
import { z } from 'zod';
import { type Actor, AUDIENCES, actsForStaff, isAudience, isThemselvesOrStaff } from '../eventsourcing/actor.ts';
import type { EventDefinition, RecordedEvent } from '../eventsourcing/log/event.ts';
import type { ActorRef } from './actor.ts';
import type { SchemaBuilderOf } from './builder.ts';
import { encodeGlobalId } from './global-id.ts';

/** The interface of all events, and what every event has. */
export function addEventInterface(builder: SchemaBuilderOf, definitions: readonly EventDefinition[], actor: ActorRef) {
  const byType = new Map(definitions.map((definition) => [definition.type, definition]));
  return builder.interfaceRef<RecordedEvent>('Event').implement({
    description:
      'One event of the log. Every type of event is an object type that implements this and adds `payload`, typed. `recordedAt` never decreases as position grows. `data` is the payload as JSON, for generic tools.',
    audience: 'public',
    aggregates: ({ aggregateType: of, aggregateId: id }) => [{ type: of, id }],
    resolveType: ({ type, unreadable }) => (unreadable === undefined ? type : UNKNOWN_EVENT),
    fields: (t) => ({
      eventId: t.id({ description: 'Its UUID.', resolve: (it) => it.eventId }),
      type: t.string({ description: 'What happened, in the past tense.', resolve: (it) => it.type }),
      schemaVersion: t.int({ description: 'Of the shape of its payload.', resolve: (it) => it.schemaVersion }),
      aggregateType: t.string({
        description: 'The kind of aggregate that it happened to.',
        resolve: (it) => it.aggregateType,
      }),
      aggregateId: t.id({ description: 'The raw id of the aggregate.', resolve: (it) => it.aggregateId }),
      version: t.int({ description: 'Of the aggregate, after this event.', resolve: (it) => it.version }),
      position: t.field({
        type: 'Position',
        description: 'In the global order of events.',
        resolve: (it, _args, { engine }) => engine.positions.encode(it.position),
      }),
      recordedAt: t.field({ type: 'DateTime', description: 'When it was stored.', resolve: (it) => it.recordedAt }),
      actor: t.field({ type: actor, description: 'Who did it.', resolve: (it) => it.actor }),
      commandId: t.id({
        nullable: true,
        description: 'The command that it came from; for what staff did, told to staff only.',
        resolve: (it, _args, { actor: viewer }) => (mayTrace(viewer, it.actor) ? it.commandId : null),
      }),
      correlationId: t.id({
        description: 'Common to all that began with the same request.',
        resolve: (it) => it.correlationId,
      }),
      causationId: t.id({
        nullable: true,
        description: 'The command or event that caused it; for what staff did, told to staff only.',
        resolve: (it, _args, { actor: viewer }) => (mayTrace(viewer, it.actor) ? it.causationId : null),
      }),
      data: t.field({
        type: 'JSON',
        description: 'The payload as JSON, as far as it is for you.',
        resolve: (it, _args, { actor: viewer }) => visibleData(byType.get(it.type), it, viewer),
      }),
    }),
  });
}

export type EventInterface = ReturnType<typeof addEventInterface>;

const UNKNOWN_EVENT = 'UnknownEvent';

/** The type of what the log holds and this server cannot read. */
export function addUnknownEvent(builder: SchemaBuilderOf, event: EventInterface): void {
  builder.objectRef<RecordedEvent>(UNKNOWN_EVENT).implement({
    description:
      'An event that this server cannot read, most likely since a newer one wrote it. It is shown as it is stored, without what is protected, and nothing is made of it.',
    audience: 'public',
    interfaces: [event],
    isTypeOf: (value) => eventType.safeParse(value).data?.unreadable !== undefined,
    fields: (t) => ({
      reason: t.string({ description: 'Why it cannot be read.', resolve: (it) => it.unreadable ?? '' }),
    }),
  });
}

/** A field's type in GraphQL, by the name that its zod schema carries as `meta({ graphql })`; its elements', of a list. */
export type ValueTypes = Readonly<Record<string, OutputRef | 'Currency' | 'SafeInt' | 'JSON'>>;

/** Makes the object type of an event from the schema that checks it. */
export function addEventType(
  builder: SchemaBuilderOf,
  event: EventInterface,
  valueTypes: ValueTypes,
  definition: EventDefinition,
): void {
  const payload = builder.objectRef<Record<string, unknown>>(`${definition.type}Payload`);
  payload.implement({
    description: `What ${definition.type} tells.`,
    audience: 'public',
    fields: (t) =>
      Object.fromEntries(
        membersOf(definition).map(([name, schema]) => {
          const { audience, description } = fieldMeta(schema);
          const { type, nullable, show = asItIs } = outputOf(schema, valueTypes);
          const isNullable = nullable || audience !== 'public';
          const resolve = ({ [name]: value = null }: Record<string, unknown>) => (value === null ? null : show(value));
          return [name, t.field({ type, audience, nullable: isNullable, description, resolve })];
        }),
      ),
  });
  builder.objectRef<RecordedEvent>(definition.type).implement({
    description: definition.description,
    audience: 'public',
    interfaces: [event],
    isTypeOf: (value) => {
      const { type, unreadable } = eventType.safeParse(value).data ?? {};
      return type === definition.type && unreadable === undefined;
    },
    fields: (t) => ({
      payload: t.field({
        type: payload,
        description: 'What happened, in detail.',
        resolve: (it) => payloadData.parse(it.data),
      }),
    }),
  });
}

const eventType = z.object({ type: z.string(), unreadable: z.string().optional() });
const payloadData = z.record(z.string(), z.unknown());
const meta = z.object({
  audience: z.enum(AUDIENCES).default('public'),
  description: z.string().default(''),
  graphql: z.string().optional(),
  /** The type of what it is the raw id of; clients get the global one. */
  idOf: z.string().optional(),
});

function membersOf({ data }: EventDefinition): [string, z.ZodType][] {
  return Object.entries(data.shape).map(([name, member]) => [name, z.instanceof(z.ZodType).parse(member)]);
}

function fieldMeta(schema: z.ZodType) {
  return meta.parse(schema.meta() ?? {});
}

interface PayloadOutput {
  readonly type: OutputRef | ScalarName | [OutputRef | ScalarName];
  readonly nullable: boolean;
  /** The value as the type's resolver wants it. */
  show?(value: unknown): unknown;
}

const asItIs = (value: unknown) => value;

function outputOf(schema: z.ZodType, valueTypes: ValueTypes): PayloadOutput {
  const { graphql, idOf } = fieldMeta(schema);
  // What newer events have and older ones do not is optional.
  const nullable = schema instanceof z.ZodNullable || schema instanceof z.ZodOptional;
  if (idOf !== undefined) return { type: 'ID', nullable, show: (id) => encodeGlobalId(idOf, String(id)) };
  const named = valueTypes[graphql ?? ''];
  if (named !== undefined) return { type: named, nullable };
  if (nullable) {
    return { ...outputOf(z.instanceof(z.ZodType).parse(schema.unwrap()), valueTypes), nullable: true };
  }
  if (schema instanceof z.ZodArray) {
    const element = outputOf(z.instanceof(z.ZodType).parse(schema.element), valueTypes);
    if (Array.isArray(element.type) || element.nullable || element.show !== undefined) {
      throw new Error('A list in an event holds values that are shown as they are, and no nulls.');
    }
    return { type: [element.type], nullable: false };
  }
  if (schema instanceof z.ZodISODateTime) {
    return { type: 'DateTime', nullable: false, show: (instant) => new Date(String(instant)) };
  }
  if (schema instanceof z.ZodEnum) return { type: 'String', nullable: false };
  if (schema instanceof z.ZodString) return { type: 'String', nullable: false };
  if (schema instanceof z.ZodNumber) return { type: 'Int', nullable: false };
  if (schema instanceof z.ZodBoolean) return { type: 'Boolean', nullable: false };
  throw new Error(`No GraphQL type for a field of kind ${schema.type}: name one with meta({ graphql }).`);
}

type ScalarName = 'ID' | 'DateTime' | 'String' | 'Int' | 'Boolean' | 'Currency' | 'SafeInt' | 'JSON';

/** What an event tells this viewer: fields for others are left out. */
export function visibleData(
  definition: EventDefinition | undefined,
  { data, unreadable }: RecordedEvent,
  viewer: Actor,
): unknown {
  // Which of it is for others, only the definition could tell that this server does not know.
  if (unreadable !== undefined) return actsForStaff(viewer) ? data : {};
  const hidden = (definition === undefined ? [] : membersOf(definition))
    .filter(([, schema]) => !isAudience(viewer, fieldMeta(schema).audience))
    .map(([name]) => name);
  if (hidden.length === 0) return data;
  return Object.fromEntries(Object.entries(payloadData.parse(data)).filter(([name]) => !hidden.includes(name)));
}

/** What staff did is not traced back by customers; a cart's own users follow each other's commands. */
function mayTrace(viewer: Actor, actor: Actor): boolean {
  const isOfShop = !['ANONYMOUS', 'GUEST', 'CUSTOMER'].includes(actor.kind);
  return !isOfShop || isThemselvesOrStaff(viewer, actor);
}
