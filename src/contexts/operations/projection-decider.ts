import type { Decider, Decision, DecisionContext } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import type { ProjectionState } from '../../eventsourcing/projections/projection-states.ts';
import type { ProjectionCommand } from './projection-commands.ts';
import type { ProjectionEvent } from './projection-events.ts';

/** The rebuild that was decided on last. What became of it otherwise, and of those that began by themselves, facts say. */
export interface RebuildState {
  readonly run: number;
  readonly isCancelled: boolean;
}

export const projectionDecider: Decider<RebuildState, ProjectionCommand, ProjectionEvent, ProjectionState> = {
  initialState: { run: 0, isCancelled: false },
  decide(command, state, { facts }: DecisionContext<ProjectionState>): Decision<ProjectionEvent> {
    const { name } = command.data;
    const projection = facts.get(name);
    if (projection === undefined) return notFound('projection', name);
    const { run, status } = lastRebuild(state, projection);
    const isUnderWay = status === 'RUNNING' || status === 'COMPARING';
    switch (command.type) {
      case 'RebuildProjection':
        if (isUnderWay)
          return illegalState(status, `${name} is being rebuilt already: see projections, or cancelRebuild.`);
        return [{ type: 'ProjectionRebuildRequested', data: { projection: name, run: run + 1 } }];
      case 'CancelRebuild':
        if (!isUnderWay) return illegalState(status, `No rebuild of ${name} is under way that could be cancelled.`);
        return [{ type: 'ProjectionRebuildCancelled', data: { projection: name, run } }];
      default:
        return command satisfies never;
    }
  },
  evolve(_state, event) {
    switch (event.type) {
      case 'ProjectionRebuildRequested':
        return { run: event.data.run, isCancelled: false };
      case 'ProjectionRebuildCancelled':
        return { run: event.data.run, isCancelled: true };
      default:
        return event satisfies never;
    }
  },
};

/** What was decided just before this has not reached the table of rebuilds yet. */
function lastRebuild(state: RebuildState, { rebuild }: ProjectionState) {
  if (rebuild === null || state.run > rebuild.run) {
    if (state.run === 0) return { run: 0, status: 'NONE' };
    return { run: state.run, status: state.isCancelled ? 'CANCELLED' : 'RUNNING' };
  }
  const isCancelled = state.isCancelled && state.run === rebuild.run;
  return { run: rebuild.run, status: isCancelled ? 'CANCELLED' : rebuild.status };
}
