import type { InputObjectRef, ObjectRef } from '@pothos/core';
import { z } from 'zod';
import type { CommandDefinition } from '../eventsourcing/commands/aggregate.ts';
import {
  type CommandOutcome,
  type CommandRequest,
  Contended,
  OutcomeUnknown,
  Overloaded,
  type Receipt,
  type Schedule,
} from '../eventsourcing/commands/command.ts';
import { commandNotDone, validationFailed, versionConflict } from '../eventsourcing/commands/rejection.ts';
import { UnreadableEvent } from '../eventsourcing/log/event.ts';
import type { BuilderTypes, SchemaBuilderOf } from './builder.ts';
import type { RequestContext } from './context.ts';
import { fault } from './faults.ts';
import { encodeGlobalId, ofThePast, parseGlobalId } from './global-id.ts';
import type { addReceipt } from './receipt.ts';
import { fieldProblems, type RejectionShape, type Rejections, typenameOf } from './rejections.ts';
import { type ScheduleInputRef, scheduleOf } from './schedule.ts';

/** So often is read what a command's data is made of. */
const MAX_READS = 5;
/** Processes send commands whose ids and inputs are made from it, and whose schemas take no other. */
const commandIdText = z.uuid();

/** What the input of every command may have beside its own fields. */
interface CommandInput {
  readonly commandId?: string | null;
  readonly expectedVersion?: number | null;
}

export interface CommandMutation<Input extends CommandInput, Entity, Payload> {
  /** The mutation's name: `addItemToCart`. */
  readonly field: string;
  readonly command: CommandDefinition;
  readonly input: InputObjectRef<BuilderTypes, Input>;
  /** The input may be left out altogether. */
  readonly inputOptional?: boolean;
  /** The input as the command's data; a global id that cannot be one is left for the command's schema to refuse. */
  data(input: Input, context: RequestContext): Record<string, unknown> | Promise<Record<string, unknown>>;
  /**
   * The version that the data was read from, if it holds for that one alone: the command is decided on no other. Where the
   * caller expects none, it is read again a few times if others were first. Undefined: for whatever version there is.
   */
  readAt?(data: Readonly<Record<string, unknown>>): number | undefined;
  /** Members of the command's data that have another name in the input. */
  readonly inputNames?: Readonly<Record<string, string>>;
  /** The type that a global id of the aggregate has; without one the aggregate's own id is what clients use. */
  readonly idType?: string;
  /** Members of the command's data that hold ids of the same type. */
  readonly otherIds?: readonly string[];
  readonly payload: ObjectRef<BuilderTypes, Payload>;
  /** Reads what the payload shows, once the read tables have caught up. */
  load(aggregateId: string, context: RequestContext, receipt: Receipt): Promise<Entity | undefined>;
  show(entity: Entity, receipt: Receipt): Payload;
  /** Types of events of other aggregates that it brings about, whose projections an answer waits for. */
  readonly alsoChanges?: readonly string[];
  /** Rejections beside those of every command. */
  readonly rejections: readonly ObjectRef<BuilderTypes, RejectionShape>[];
  /** It cannot be sent to be run later. */
  readonly schedulable?: false;
}

type AnyCommandMutation = CommandMutation<CommandInput, unknown, object>;

export interface CommandMutationParts {
  readonly builder: SchemaBuilderOf;
  readonly receipts: ReturnType<typeof addReceipt>;
  readonly rejections: Rejections;
  readonly schedule: ScheduleInputRef;
  /** The types of the events that a command's aggregate has: whose projections an answer waits for. */
  eventTypesOf(commandName: string): readonly string[];
}

/** Declares the mutation of a command: its result union, and the way from the input to the answer. */
export function addCommandMutation(parts: CommandMutationParts, mutation: AnyCommandMutation): void {
  const { builder, receipts, rejections } = parts;
  const { field, command, input, payload } = mutation;
  const { validationFailed: invalid, commandIdReused, forbidden, commandNotDone: notDone } = rejections;
  const result = builder.unionType(`${field[0]?.toUpperCase()}${field.slice(1)}Result`, {
    description: `What ${field} can end with.`,
    types: [payload, receipts.accepted, invalid, commandIdReused, forbidden, notDone, ...mutation.rejections],
    resolveType: (value) => ('__typename' in value ? String(value.__typename) : payload.name),
  });
  const answer = async (sent: CommandInput, when: Schedule | undefined, context: RequestContext) => {
    for (let reads = 1; ; reads += 1) {
      const request = await requestOf(mutation, sent, context);
      if ('__typename' in request) return request;
      const outcome = await run(request, when, context);
      if (reads < MAX_READS && wasOvertaken(mutation, sent, outcome)) continue;
      if (outcome.outcome === 'rejected') return shownRejection(mutation, request, outcome);
      if (outcome.outcome === 'accepted') return shownPending(outcome.receipt);
      return show(parts, mutation, outcome, context);
    }
  };
  builder.mutationField(field, (t) => {
    const options = {
      type: result,
      description: command.description,
      audience: command.audience,
    };
    const inputArgument = t.arg({ type: input, required: mutation.inputOptional !== true, description: 'What to do.' });
    if (mutation.schedulable === false) {
      return t.field({
        ...options,
        args: { input: inputArgument },
        resolve: (_root, args, context) => answer(args.input ?? {}, undefined, context),
      });
    }
    return t.field({
      ...options,
      args: {
        input: inputArgument,
        schedule: t.arg({ type: parts.schedule, description: 'To run it later, or in the background.' }),
      },
      resolve: (_root, args, context) => answer(args.input ?? {}, scheduleOf(args.schedule), context),
    });
  });
}

/** The payload, once the read tables hold what the command did; where they do not in time, that it was accepted. */
async function show(
  { eventTypesOf }: CommandMutationParts,
  { command, alsoChanges = [], payload, load, show: shown }: AnyCommandMutation,
  { aggregateId, receipt }: Extract<CommandOutcome, { outcome: 'succeeded' }>,
  context: RequestContext,
) {
  const { engine, readWaitMs } = context;
  // A command that changed nothing was decided on what others had just appended: that must be shown, too.
  const upTo = receipt.position ?? engine.tail.head;
  const reached = await engine.reachAll([...eventTypesOf(command.name), ...alsoChanges], upTo, readWaitMs);
  const entity = reached ? await load(aggregateId, context, receipt) : undefined;
  return entity === undefined
    ? { __typename: 'CommandAccepted', receipt }
    : { ...shown(entity, receipt), __typename: payload.name };
}

async function requestOf(
  mutation: AnyCommandMutation,
  sent: CommandInput,
  context: RequestContext,
): Promise<CommandRequest | RejectionShape> {
  const { commandId: sentId, expectedVersion, ...content } = sent;
  if (typeof sentId === 'string' && !commandIdText.safeParse(sentId).success) {
    return invalidField('commandId', 'must be a UUID as RFC 9562 has it, like those that crypto.randomUUID() gives');
  }
  if (typeof sentId === 'string' && sentId[14] === '8') {
    return invalidField('commandId', 'must not be a UUID of version 8: those are for what processes send');
  }
  const past = pastIdIn(content);
  if (past !== undefined) return invalidField(past.field, ofThePast(past.typename));
  const commandId = sentId?.toLowerCase() ?? context.ids.ordered();
  const data = await mutation.data(sent, context);
  const readAt = mutation.readAt?.(data);
  const expected = expectedVersion ?? undefined;
  if (expected !== undefined && readAt !== undefined && expected > readAt) {
    const rejection = versionConflict(expected, readAt);
    return { __typename: 'VersionConflict', rejection, receipt: null, eventsSince: [] };
  }
  return {
    commandId,
    name: mutation.command.name,
    data,
    sent: { ...content, expectedVersion: expected },
    actor: context.actor,
    expectedVersion: expected ?? readAt,
    correlationId: context.correlationId ?? context.ids.ordered(),
  };
}

function invalidField(field: string, message: string): RejectionShape {
  const rejection = validationFailed([{ path: [field], message }]);
  return { __typename: 'ValidationFailed', rejection, receipt: null, eventsSince: [] };
}

/** A field of the input that holds the id of something as of an earlier point: nothing can be done to that. */
function pastIdIn(content: object): { readonly field: string; readonly typename: string } | undefined {
  for (const [field, value] of Object.entries(content)) {
    const parsed = field.endsWith('Id') && typeof value === 'string' ? parseGlobalId(value) : undefined;
    if (parsed?.asOf !== undefined) return { field, typename: parsed.typename };
  }
  return undefined;
}

/** Others were first, after the command's data was read; its caller expects no version, so it may be read again. */
function wasOvertaken({ readAt }: AnyCommandMutation, sent: CommandInput, outcome: CommandOutcome): boolean {
  if (readAt === undefined || typeof sent.expectedVersion === 'number') return false;
  return (
    outcome.outcome === 'rejected' && outcome.receipt === undefined && outcome.rejection.code === 'VERSION_CONFLICT'
  );
}

/** It is still to be done; or it ended without, and whoever waited for it must not wait on. */
function shownPending(receipt: Receipt) {
  if (receipt.status === 'QUEUED' || receipt.status === 'RUNNING') return { __typename: 'CommandAccepted', receipt };
  return { __typename: 'CommandNotDone', rejection: commandNotDone(receipt.status), receipt, eventsSince: [] };
}

async function run(
  request: CommandRequest,
  schedule: Schedule | undefined,
  context: RequestContext,
): Promise<CommandOutcome> {
  const { executor } = context.engine;
  try {
    if (schedule !== undefined) return await executor.enqueue(request, schedule);
    const outcome = await executor.execute(request);
    return outcome.outcome === 'accepted' && outcome.receipt.status === 'RUNNING'
      ? await conclusion(outcome, context)
      : outcome;
  } catch (error) {
    if (error instanceof Overloaded) throw fault('OVERLOADED', error.message);
    if (error instanceof Contended) throw fault('CONTENDED', error.message);
    if (error instanceof UnreadableEvent) throw fault('UNREADABLE_EVENT', `Nothing was changed. ${error.message}`);
    if (error instanceof OutcomeUnknown) {
      throw fault(
        'UNAVAILABLE',
        `The database is away. Send the command again with the commandId ${request.commandId}.`,
      );
    }
    throw error;
  }
}

/** What the process decides that concludes the command, if it does in time. */
async function conclusion(
  begun: Extract<CommandOutcome, { outcome: 'accepted' }>,
  { engine, readWaitMs }: RequestContext,
): Promise<CommandOutcome> {
  const { receipt, aggregateId } = begun;
  const record = await engine.commandWatch.finished(receipt.commandId, readWaitMs);
  if (record === undefined) return begun;
  const { status, version, position, rejection } = record;
  const concluded = { ...receipt, status, version, position };
  if (rejection !== null) return { outcome: 'rejected', rejection, receipt: concluded };
  return { outcome: status === 'SUCCEEDED' ? 'succeeded' : 'accepted', aggregateId, receipt: concluded };
}

function shownRejection(
  { idType, command, inputNames = {}, otherIds = [] }: AnyCommandMutation,
  { data }: CommandRequest,
  { rejection, receipt, eventsSince = [] }: Extract<CommandOutcome, { outcome: 'rejected' }>,
): RejectionShape {
  const shown = { __typename: typenameOf(rejection), rejection, receipt: receipt ?? null, eventsSince };
  if (rejection.code === 'VALIDATION_FAILED') {
    const fields = fieldProblems.parse(rejection['fields']);
    return {
      ...shown,
      rejection: validationFailed(
        fields.map((it) => ({ ...it, path: it.path.map((name) => inputNames[name] ?? name) })),
      ),
    };
  }
  const sent = commandData.parse(data);
  const ids = [command.aggregateId(sent), ...otherIds.map((name) => sent[name])];
  if (idType === undefined || rejection.code !== 'NOT_FOUND' || !ids.includes(rejection['id'])) return shown;
  return { ...shown, rejection: { ...rejection, id: encodeGlobalId(idType, String(rejection['id'])) } };
}

const commandData = z.record(z.string(), z.unknown());

/** The raw id in a global id of this type; anything else as it is, for the command's schema to refuse. */
export function rawIdOf(typename: string, globalId: string): string {
  const parsed = parseGlobalId(globalId);
  return parsed?.typename === typename && parsed.asOf === undefined ? parsed.id : '';
}
