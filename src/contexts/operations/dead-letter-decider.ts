import type { Decider, Decision, DecisionContext } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import type { DeadLetter, DeadLetterStatus } from '../../eventsourcing/followers/dead-letters.ts';
import type { DeadLetterCommand } from './commands.ts';
import type { DeadLetterEvent } from './events.ts';

/** What became of the failure that was decided on last. A dead letter may be open again, for a later one. */
export type DeadLetterState =
  | { readonly status: 'OPEN' }
  | { readonly status: 'RETRIED' | 'DROPPED'; readonly failedAt: string; readonly attempts: number };

export const deadLetterDecider: Decider<DeadLetterState, DeadLetterCommand, DeadLetterEvent, DeadLetter> = {
  initialState: { status: 'OPEN' },
  decide(command, state, context) {
    switch (command.type) {
      case 'RetryDeadLetter':
        return retry(command.data.deadLetterId, state, context);
      case 'DropDeadLetter':
        return drop(command.data.deadLetterId, command.data.reason, state, context);
      default:
        return command satisfies never;
    }
  },
  evolve(_state, event) {
    const { failedAt, attempts } = event.data;
    switch (event.type) {
      case 'DeadLetterRetried':
        return { status: 'RETRIED', failedAt, attempts };
      case 'DeadLetterDropped':
        return { status: 'DROPPED', failedAt, attempts };
      default:
        return event satisfies never;
    }
  },
};

type Context = DecisionContext<DeadLetter>;

function retry(id: string, state: DeadLetterState, { facts }: Context): Decision<DeadLetterEvent> {
  const letter = facts.get(id);
  if (letter === undefined) return notFound('dead letter', id);
  const status = statusOf(letter, state);
  if (status !== 'OPEN') return notOpen(id, status);
  return [{ type: 'DeadLetterRetried', data: failureOf(letter) }];
}

function drop(id: string, reason: string, state: DeadLetterState, { facts }: Context): Decision<DeadLetterEvent> {
  const letter = facts.get(id);
  if (letter === undefined) return notFound('dead letter', id);
  const status = statusOf(letter, state);
  if (status !== 'OPEN') return notOpen(id, status);
  return [{ type: 'DeadLetterDropped', data: { ...failureOf(letter), reason: reason.trim() } }];
}

/** What was decided just before this about the same failure has not reached the table of dead letters yet. */
function statusOf(letter: DeadLetter, state: DeadLetterState): DeadLetterStatus {
  if (state.status === 'OPEN') return letter.status;
  const isSameFailure = state.failedAt === letter.failedAt.toISOString() && state.attempts === letter.attempts;
  return isSameFailure ? state.status : letter.status;
}

function notOpen(id: string, status: DeadLetterStatus) {
  return illegalState(status, `The dead letter ${id} was ${status.toLowerCase()} already.`);
}

function failureOf({ id, source, subject, failedAt, attempts }: DeadLetter) {
  return { deadLetterId: id, source, subject, failedAt: failedAt.toISOString(), attempts };
}
