import { z } from 'zod';
import type { FieldProblem, Rejection } from '../eventsourcing/commands/rejection.ts';
import type { RecordedEvent } from '../eventsourcing/log/event.ts';
import type { SchemaBuilderOf } from './builder.ts';
import type { EventInterface } from './events.ts';
import type { addReceipt, ReceiptShape } from './receipt.ts';

/** A rejection on its way to the client. */
export interface RejectionShape {
  readonly __typename: string;
  readonly rejection: Rejection;
  readonly receipt: ReceiptShape | null;
  readonly eventsSince: readonly RecordedEvent[];
}

/** The name of the type that a rejection is answered with: `INSUFFICIENT_STOCK` is an `InsufficientStock`. */
export function typenameOf({ code }: Rejection): string {
  return code.toLowerCase().replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase());
}

/** The interface `Rejection`, and the rejections that every command can end with. */
export function addRejections(
  builder: SchemaBuilderOf,
  { receipt, status: commandStatus }: ReturnType<typeof addReceipt>,
  event: EventInterface,
) {
  const rejection = builder.interfaceRef<RejectionShape>('Rejection').implement({
    description:
      'A business "no". Every member of a result union that is neither the success nor CommandAccepted implements it.',
    audience: 'public',
    resolveType: (it) => it.__typename,
    fields: (t) => ({
      code: t.string({ description: 'The kind of rejection, for programs.', resolve: (it) => it.rejection.code }),
      message: t.string({
        description: 'What is wrong and what to do, for people.',
        resolve: (it) => it.rejection.message,
      }),
      receipt: t.field({
        type: receipt,
        nullable: true,
        description: "Present where the rejection is kept as the command's outcome.",
        resolve: (it) => it.receipt,
      }),
    }),
  });

  /** Declares the type of a rejection. `details` are members of the rejection that become fields of the same name. */
  function declareRejection(name: string, description: string, details: Readonly<Record<string, DetailOptions>> = {}) {
    const ref = builder.objectRef<RejectionShape>(name);
    ref.implement({
      description,
      audience: 'public',
      interfaces: [rejection],
      fields: (t) =>
        Object.fromEntries(
          Object.entries(details).map(([detail, options]) => [
            detail,
            t.field({
              ...options,
              nullable: options.nullable ?? false,
              resolve: (it) => it.rejection[detail] as string | number,
            }),
          ]),
        ),
    });
    return ref;
  }

  const fieldProblem = builder.objectRef<FieldProblem>('FieldProblem').implement({
    description: 'What is wrong with one field of the input.',
    audience: 'public',
    fields: (t) => ({
      path: t.stringList({ description: 'Where it is in the input.', resolve: (it) => [...it.path] }),
      message: t.string({ description: 'What is wrong with it.', resolve: (it) => it.message }),
    }),
  });
  const validationFailed = builder.objectRef<RejectionShape>('ValidationFailed').implement({
    description: "Not stored as the command's outcome: the same commandId may be sent again with mended input.",
    audience: 'public',
    interfaces: [rejection],
    fields: (t) => ({
      fields: t.field({
        type: [fieldProblem],
        description: 'Every field that is wrong.',
        resolve: (it) => fieldProblems.parse(it.rejection['fields']),
      }),
    }),
  });
  const versionConflict = builder.objectRef<RejectionShape>('VersionConflict').implement({
    description:
      "Someone else changed the aggregate: it is not at the caller's expectedVersion. Not stored: the same commandId may be sent again. Only that of a queued command is final, and stored: see its receipt.",
    audience: 'public',
    interfaces: [rejection],
    fields: (t) => ({
      expectedVersion: t.int({
        description: 'What the caller expected.',
        resolve: (it) => Number(it.rejection['expectedVersion']),
      }),
      actualVersion: t.int({ description: 'What it is.', resolve: (it) => Number(it.rejection['actualVersion']) }),
      eventsSince: t.field({
        type: [event],
        description: 'What happened since the expected version, oldest first, at most 500 events.',
        resolve: (it) => [...it.eventsSince],
      }),
    }),
  });
  return {
    declareRejection,
    validationFailed,
    versionConflict,
    commandIdReused: declareRejection(
      'CommandIdReused',
      'The commandId was used before, for another command, input or actor.',
      { commandId: { type: 'ID', description: 'The id that was used before.' } },
    ),
    notFound: declareRejection('NotFound', 'It is not there, or you may not know of it.', {
      id: { type: 'ID', nullable: true, description: 'What was asked for.' },
    }),
    forbidden: declareRejection('Forbidden', 'You may not do this.'),
    commandNotDone: declareRejection(
      'CommandNotDone',
      'The command was stored before, and ended without being done: it failed, timed out or was cancelled.',
      { status: { type: commandStatus, description: 'How it ended.' } },
    ),
    illegalState: declareRejection('IllegalState', 'It is in a state in which this cannot be done.', {
      state: { type: 'String', description: 'The state that it is in.' },
    }),
  };
}

export const fieldProblems = z.array(z.object({ path: z.array(z.string()), message: z.string() }));

export interface DetailOptions {
  readonly type: 'ID' | 'String' | 'Int' | 'Currency' | ReturnType<typeof addReceipt>['status'];
  readonly nullable?: boolean;
  readonly description: string;
}

export type Rejections = ReturnType<typeof addRejections>;
