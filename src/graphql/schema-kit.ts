import type { ObjectRef } from '@pothos/core';
import type { Aggregate } from '../eventsourcing/commands/aggregate.ts';
import type { EventDefinition } from '../eventsourcing/log/event.ts';
import type { ProjectedRow } from '../eventsourcing/projections/projection.ts';
import { addActor } from './actor.ts';
import { type BuilderTypes, createBuilder } from './builder.ts';
import { addCommandMutation, type CommandMutation } from './command-mutation.ts';
import { addEventInterface, addEventType, addUnknownEvent, type ValueTypes } from './events.ts';
import { addChangeType } from './live-field.ts';
import { addReceipt } from './receipt.ts';
import { addRejections } from './rejections.ts';
import { addScheduleInput } from './schedule.ts';
import { addAsOfInput } from './time-travel.ts';

/**
 * What a context declares its part of the schema with.
 * @param otherEvents events that are of no aggregate of a context
 */
export function createSchemaKit(aggregates: readonly Aggregate[], otherEvents: readonly EventDefinition[] = []) {
  const builder = createBuilder();
  const definitions = [...aggregates.flatMap((it) => it.events), ...otherEvents];
  const actor = addActor(builder);
  const event = addEventInterface(builder, definitions, actor);
  const receipts = addReceipt(builder);
  const rejections = addRejections(builder, receipts, event);
  const schedule = addScheduleInput(builder);
  const asOf = addAsOfInput(builder);
  const eventTypes = new Map(
    aggregates.flatMap(({ commands, events }) => commands.map(({ name }) => [name, events.map(({ type }) => type)])),
  );
  const eventTypesOf = (command: string) => eventTypes.get(command) ?? [];
  return {
    builder,
    actor,
    event,
    /** The names of all types of events that there are. */
    eventTypes: new Set(definitions.map(({ type }) => type)) as ReadonlySet<string>,
    receipt: receipts.receipt,
    commandStatus: receipts.status,
    rejections,
    /** The argument that names an earlier point. */
    asOf,
    /** Declares the object types of all events. */
    addEventTypes(valueTypes: ValueTypes): void {
      addUnknownEvent(builder, event);
      for (const definition of definitions) addEventType(builder, event, valueTypes, definition);
    },
    addCommandMutation<Input extends object, Entity, Payload extends object>(
      mutation: CommandMutation<Input, Entity, Payload>,
    ): void {
      addCommandMutation({ builder, receipts, rejections, schedule, eventTypesOf }, mutation);
    },
    addChangeType(name: string, member: string, ref: ObjectRef<BuilderTypes, ProjectedRow>) {
      return addChangeType(builder, event, { name, member, ref });
    },
  };
}

export type SchemaKit = ReturnType<typeof createSchemaKit>;
