import type { InputObjectRef, ObjectRef } from '@pothos/core';
import { z } from 'zod';
import type { CommandDefinition } from '../eventsourcing/aggregate.ts';
import {
  type CommandOutcome,
  type CommandRequest,
  Contended,
  OutcomeUnknown,
  Overloaded,
  type Receipt,
} from '../eventsourcing/command.ts';
import { validationFailed } from '../eventsourcing/rejection.ts';
import type { BuilderTypes, SchemaBuilderOf } from './builder.ts';
import type { RequestContext } from './context.ts';
import { fault } from './faults.ts';
import { encodeGlobalId, parseGlobalId } from './global-id.ts';
import type { addReceipt } from './receipt.ts';
import { fieldProblems, type RejectionShape, type Rejections, typenameOf } from './rejections.ts';

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
  data(input: Input, context: RequestContext): Record<string, unknown>;
  /** Members of the command's data that have another name in the input. */
  readonly inputNames?: Readonly<Record<string, string>>;
  /** The type that a global id of the aggregate has; without one the aggregate's own id is what clients use. */
  readonly idType?: string;
  readonly payload: ObjectRef<BuilderTypes, Payload>;
  /** Reads what the payload shows, once the read tables have caught up. */
  load(aggregateId: string, context: RequestContext): Promise<Entity | undefined>;
  show(entity: Entity, receipt: Receipt): Payload;
  /** Rejections beside those of every command. */
  readonly rejections: readonly ObjectRef<BuilderTypes, RejectionShape>[];
}

type AnyCommandMutation = CommandMutation<CommandInput, unknown, object>;

export interface CommandMutationParts {
  readonly builder: SchemaBuilderOf;
  readonly receipts: ReturnType<typeof addReceipt>;
  readonly rejections: Rejections;
  /** The types of the events that a command's aggregate has: whose projections an answer waits for. */
  eventTypesOf(commandName: string): readonly string[];
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Declares the mutation of a command: its result union, and the way from the input to the answer. */
export function addCommandMutation(
  { builder, receipts, rejections, eventTypesOf }: CommandMutationParts,
  mutation: AnyCommandMutation,
): void {
  const { field, command, input, payload } = mutation;
  const { validationFailed: invalid, commandIdReused, forbidden } = rejections;
  const payloadName = payload.name;
  const result = builder.unionType(`${field[0]?.toUpperCase()}${field.slice(1)}Result`, {
    description: `What ${field} can end with.`,
    types: [payload, receipts.accepted, invalid, commandIdReused, forbidden, ...mutation.rejections],
    resolveType: (value) => ('__typename' in value ? String(value.__typename) : payloadName),
  });
  builder.mutationField(field, (t) =>
    t.field({
      type: result,
      description: command.description,
      audience: command.audience,
      args: { input: t.arg({ type: input, required: mutation.inputOptional !== true, description: 'What to do.' }) },
      resolve: async (_root, args, context) => {
        const request = requestOf(mutation, args.input ?? {}, context);
        if ('__typename' in request) return request;
        const outcome = await run(request, context);
        if (outcome.outcome === 'rejected') return shownRejection(mutation, request, outcome);
        const { aggregateId, receipt } = outcome;
        const { engine, readWaitMs } = context;
        // A command that changed nothing was decided on what others had just appended: that must be shown, too.
        const upTo = receipt.position ?? engine.tail.head;
        const reached = await engine.reachAll(eventTypesOf(command.name), upTo, readWaitMs);
        const entity = reached ? await mutation.load(aggregateId, context) : undefined;
        return entity === undefined
          ? { __typename: 'CommandAccepted', receipt }
          : { ...mutation.show(entity, receipt), __typename: payloadName };
      },
    }),
  );
}

function requestOf(
  mutation: AnyCommandMutation,
  sent: CommandInput,
  context: RequestContext,
): CommandRequest | RejectionShape {
  const { commandId: sentId, expectedVersion, ...content } = sent;
  if (typeof sentId === 'string' && !UUID.test(sentId)) {
    const rejection = validationFailed([{ path: ['commandId'], message: 'must be a UUID' }]);
    return { __typename: 'ValidationFailed', rejection, receipt: null, eventsSince: [] };
  }
  const commandId = sentId?.toLowerCase() ?? context.ids.ordered();
  return {
    commandId,
    name: mutation.command.name,
    data: mutation.data(sent, context),
    sent: { ...content, expectedVersion: expectedVersion ?? undefined },
    actor: context.actor,
    expectedVersion: expectedVersion ?? undefined,
    correlationId: context.correlationId ?? context.ids.ordered(),
  };
}

async function run(request: CommandRequest, { engine }: RequestContext): Promise<CommandOutcome> {
  try {
    return await engine.executor.execute(request);
  } catch (error) {
    if (error instanceof Overloaded) throw fault('OVERLOADED', error.message);
    if (error instanceof Contended) throw fault('CONTENDED', error.message);
    if (error instanceof OutcomeUnknown) {
      throw fault(
        'UNAVAILABLE',
        `The database is away. Send the command again with the commandId ${request.commandId}.`,
      );
    }
    throw error;
  }
}

function shownRejection(
  { idType, command, inputNames = {} }: AnyCommandMutation,
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
  const isOwnId = rejection.code === 'NOT_FOUND' && rejection['id'] === command.aggregateId(commandData.parse(data));
  if (idType === undefined || !isOwnId) return shown;
  return { ...shown, rejection: { ...rejection, id: encodeGlobalId(idType, String(rejection['id'])) } };
}

const commandData = z.record(z.string(), z.unknown());

/** The raw id in a global id of this type; anything else as it is, for the command's schema to refuse. */
export function rawIdOf(typename: string, globalId: string): string {
  const parsed = parseGlobalId(globalId);
  return parsed?.typename === typename ? parsed.id : '';
}
