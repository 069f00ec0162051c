import { isThemselvesOrStaff } from '../../eventsourcing/actor.ts';
import type { CommandRecord } from '../../eventsourcing/commands/command-records.ts';
import type { Decider, Decision, DecisionContext } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import type { CancelCommand } from './commands.ts';
import type { CommandEvent } from './events.ts';

/** Of the command that is taken back. Beside it there is only what the command store says. */
export type CommandState = { readonly isCancelled: boolean };

export const commandDecider: Decider<CommandState, CancelCommand, CommandEvent, CommandRecord> = {
  initialState: { isCancelled: false },
  decide: ({ data: { target } }, state, context) => cancel(target, state, context),
  evolve: () => ({ isCancelled: true }),
};

function cancel(
  target: string,
  { isCancelled }: CommandState,
  { actor, facts }: DecisionContext<CommandRecord>,
): Decision<CommandEvent> {
  const command = facts.get(target);
  if (command === undefined || !isThemselvesOrStaff(actor, command.actor)) return notFound('command', target);
  // One that was decided just before this has not reached the command store yet.
  const status = isCancelled ? 'CANCELLED' : command.status;
  if (isTakenByProcess(command)) {
    return illegalState(status, `The command ${target} is what the process ${command.aggregateType} goes on with.`);
  }
  if (status !== 'QUEUED') {
    return illegalState(status, `The command ${target} is ${status}: only one that still waits can be taken back.`);
  }
  return [{ type: 'CommandCancelled', data: { target } }];
}

/** Messages and timers: without one of them, its process would wait for ever, or be wrong about what happened. */
function isTakenByProcess({ actor, issuer }: CommandRecord): boolean {
  return actor.kind === 'PROCESS' && issuer === null;
}
