import { illegalState, isStored, type Rejection } from '../eventsourcing/commands/rejection.ts';
import type { CommandRefusal } from '../eventsourcing/processes/process-manager.ts';

const WHAT_HAPPENED: Readonly<Record<CommandRefusal['status'], string>> = {
  REJECTED: 'was refused',
  TIMED_OUT: 'was not done in time',
  CANCELLED: 'was called off',
  DROPPED: 'broke, and was given up',
};

/**
 * The business reason, if there is one that a command may end with; otherwise what happened.
 * @param consequence what comes before that, if it is worth saying: `The carts were not merged, since `
 */
export function rejectionOf({ status, name, rejection }: CommandRefusal, consequence = ''): Rejection {
  if (rejection !== null && isStored(rejection)) return rejection;
  const why = rejection === null ? '.' : `: ${rejection.message}`;
  return illegalState(status, `${consequence}${name} ${WHAT_HAPPENED[status]}${why}`);
}
