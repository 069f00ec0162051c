import type { Decider } from '../../eventsourcing/commands/decider.ts';
import type { Rejection } from '../../eventsourcing/commands/rejection.ts';
import type { DeadLetter } from '../../eventsourcing/followers/dead-letters.ts';
import type { SourceCommand } from './commands.ts';
import type { SourceEvent } from './events.ts';

/** What is open of a source, those that failed first. */
export type OpenLetters = readonly Pick<DeadLetter, 'id' | 'failedAt'>[];

/** The failures that were tried again last: the instants by the ids of the dead letters. */
export type SourceState = ReadonlyMap<string, string>;

export const sourceDecider: Decider<SourceState, SourceCommand, SourceEvent, OpenLetters> = {
  initialState: new Map(),
  decide({ data: { source } }, state, { facts }) {
    const open = facts.get(source);
    if (open === undefined) return unknownSource(source);
    // What was decided just before this has not reached the table of dead letters yet.
    const letters = open
      .map(({ id, failedAt }) => ({ id, failedAt: failedAt.toISOString() }))
      .filter(({ id, failedAt }) => state.get(id) !== failedAt);
    if (letters.length === 0) return [];
    return [{ type: 'DeadLettersRetried', data: { source, count: letters.length, letters } }];
  },
  evolve: (_state, { data }) => new Map(data.letters.map(({ id, failedAt }) => [id, failedAt])),
};

function unknownSource(source: string) {
  const message = `Nothing is called ${JSON.stringify(source)} whose failures could be tried again: there are command, process:<name> and projection:<name>, with the names that deadLetters and projections show.`;
  return { code: 'NOT_FOUND' as const, message, id: source } satisfies Rejection;
}
