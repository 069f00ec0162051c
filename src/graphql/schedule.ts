import type { Schedule } from '../eventsourcing/commands/command.ts';
import { withinYears } from '../platform/column-values.ts';
import type { SchemaBuilderOf } from './builder.ts';

/** The argument of every mutation that can be run later. */
export function addScheduleInput(builder: SchemaBuilderOf) {
  return builder.inputType('ScheduleInput', {
    description: 'When to run a command instead of now. The result is then CommandAccepted.',
    fields: (t) => ({
      dueAt: t.field({
        type: 'DateTime',
        description: 'Not before then; left out or past, as soon as those before it are done.',
      }),
      deadline: t.field({
        type: 'DateTime',
        description: 'If it has not been run by then, it never is, and ends as TIMED_OUT.',
      }),
    }),
  });
}

export type ScheduleInputRef = ReturnType<typeof addScheduleInput>;

export function scheduleOf(
  sent: { readonly dueAt?: Date | null | undefined; readonly deadline?: Date | null | undefined } | null | undefined,
): Schedule | undefined {
  return sent ? { dueAt: storable(sent.dueAt), deadline: storable(sent.deadline) } : undefined;
}

function storable(instant: Date | null | undefined): Date | undefined {
  return instant === null || instant === undefined ? undefined : withinYears(instant);
}
