import type { CommandStatus, Receipt } from '../eventsourcing/commands/command.ts';
import type { SchemaBuilderOf } from './builder.ts';

/** A command whose outcome is known, or one that is still under way. */
export type ReceiptShape = Receipt;

const STATUS_MEANINGS: Record<CommandStatus, string> = {
  QUEUED: 'Stored, to be run later.',
  RUNNING: 'Being run.',
  SUCCEEDED: 'Done.',
  REJECTED: 'Answered with a business "no".',
  FAILED: 'Something broke, and it will not be tried again.',
  TIMED_OUT: 'Its deadline passed before it was run.',
  CANCELLED: 'Taken back before it was run.',
};

/** Receipts of commands, and the answer to a command whose read model cannot be shown yet. */
export function addReceipt(builder: SchemaBuilderOf) {
  const status = builder.enumType('CommandStatus', {
    description: 'How far a command has come.',
    values: Object.fromEntries(
      Object.entries(STATUS_MEANINGS).map(([name, description]) => [name, { description }]),
    ) as Record<CommandStatus, { description: string }>,
  });
  const receipt = builder.objectRef<ReceiptShape>('CommandReceipt').implement({
    description:
      'What became of a command. The same commandId with the same input by the same actor gives the same receipt again (`replayed`), and changes nothing.',
    audience: 'public',
    fields: (t) => ({
      commandId: t.id({ description: 'As sent, or given by the server.', resolve: (it) => it.commandId }),
      correlationId: t.id({
        description: 'Common to all that began with the same request.',
        resolve: (it) => it.correlationId,
      }),
      status: t.field({ type: status, description: 'How far the command has come.', resolve: (it) => it.status }),
      position: t.field({
        type: 'Position',
        nullable: true,
        description:
          "Of the command's last event: send it as minPosition to read what you wrote. Null if nothing changed.",
        resolve: (it, _args, { engine }) => (it.position === null ? null : engine.positions.encode(it.position)),
      }),
      version: t.int({
        nullable: true,
        description: 'Of the aggregate, after the command.',
        resolve: (it) => it.version,
      }),
      replayed: t.boolean({
        description: 'The command ran before, and nothing was done now.',
        resolve: (it) => it.replayed,
      }),
    }),
  });
  const accepted = builder.objectRef<{ receipt: ReceiptShape }>('CommandAccepted').implement({
    description:
      'The command is stored and will be, or has been, run, but its read model cannot be shown yet: it was queued, or the read table did not catch up in time.',
    audience: 'public',
    fields: (t) => ({
      receipt: t.field({
        type: receipt,
        description: 'What became of the command so far.',
        resolve: (it) => it.receipt,
      }),
    }),
  });
  return { status, receipt, accepted };
}

export type ReceiptRef = ReturnType<typeof addReceipt>['receipt'];
