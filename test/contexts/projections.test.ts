import { describe, expect, test } from 'vitest';
import { operationsContext } from '../../src/contexts/operations/index.ts';
import {
  cancelRebuild,
  type ProjectionCommand,
  rebuildProjection,
} from '../../src/contexts/operations/projection-commands.ts';
import { projectionDecider } from '../../src/contexts/operations/projection-decider.ts';
import { type ProjectionEvent, projectionEvents } from '../../src/contexts/operations/projection-events.ts';
import type { ProjectionState } from '../../src/eventsourcing/projections/projection-states.ts';
import type { RebuildRow, RebuildStatus } from '../../src/eventsourcing/projections/rebuild-store.ts';
import { given } from '../support/given.ts';

const NAME = 'cart.carts';
const NOW = new Date('2030-01-31T12:00:00.000Z');

const rebuild: ProjectionCommand = { type: 'RebuildProjection', data: { name: NAME } };
const cancel: ProjectionCommand = { type: 'CancelRebuild', data: { name: NAME } };
const requested = (run: number): ProjectionEvent => ({
  type: 'ProjectionRebuildRequested',
  data: { projection: NAME, run },
});
const cancelled = (run: number): ProjectionEvent => ({
  type: 'ProjectionRebuildCancelled',
  data: { projection: NAME, run },
});
/** How the projection stands, with the rebuild that was begun last, if any. */
const stands = (run?: number, status: RebuildStatus = 'RUNNING') => {
  const row: RebuildRow | null =
    run === undefined
      ? null
      : {
          name: `projection:${NAME}`,
          run,
          status,
          position: 0,
          total: 0,
          toVersion: null,
          shadow: null,
          attempts: 0,
          differences: null,
          differentKeys: [],
          error: null,
          startedAt: NOW,
          finishedAt: null,
        };
  const state: ProjectionState = { name: NAME, status: 'LIVE', version: 1, position: 0, lag: 0, rebuild: row };
  return { facts: new Map([[NAME, state]]) };
};

describe('A rebuild of a projection', () => {
  test('is begun, and counted, after whichever was last, also of those that began by themselves', () => {
    given(projectionDecider, [])
      .when(rebuild, stands())
      .thenEvents([requested(1)]);
    given(projectionDecider, [])
      .when(rebuild, stands(3, 'SWAPPED'))
      .thenEvents([requested(4)]);
    given(projectionDecider, [requested(3)])
      .when(rebuild, stands(5, 'FAILED'))
      .thenEvents([requested(6)]);
    given(projectionDecider, [requested(1), cancelled(1)])
      .when(rebuild, stands(1, 'CANCELLED'))
      .thenEvents([requested(2)]);
  });

  test.each(['RUNNING', 'COMPARING'] as const)('is not begun beside one that is %s', (status) => {
    given(projectionDecider, [])
      .when(rebuild, stands(1, status))
      .thenRejected({ code: 'ILLEGAL_STATE', state: status });
  });

  test('is known before it is in the table of rebuilds: what was decided just before counts', () => {
    given(projectionDecider, [requested(1)])
      .when(rebuild, stands())
      .thenRejected({ state: 'RUNNING' });
    given(projectionDecider, [requested(2)])
      .when(rebuild, stands(1, 'SWAPPED'))
      .thenRejected({ state: 'RUNNING' });
    given(projectionDecider, [requested(2), cancelled(2)])
      .when(rebuild, stands(1, 'SWAPPED'))
      .thenEvents([requested(3)]);
    given(projectionDecider, [requested(1), cancelled(1)])
      .when(rebuild, stands(1, 'RUNNING'))
      .thenEvents([requested(2)]);
  });

  test('is cancelled while it is under way, once', () => {
    given(projectionDecider, [requested(1)])
      .when(cancel, stands(1))
      .thenEvents([cancelled(1)]);
    given(projectionDecider, [requested(1)])
      .when(cancel, stands())
      .thenEvents([cancelled(1)]);
    given(projectionDecider, [])
      .when(cancel, stands(7, 'COMPARING'))
      .thenEvents([cancelled(7)]);
    given(projectionDecider, [requested(1), cancelled(1)])
      .when(cancel, stands(1))
      .thenRejected({ code: 'ILLEGAL_STATE', state: 'CANCELLED' });
    for (const status of ['SWAPPED', 'FAILED', 'CANCELLED'] as const)
      given(projectionDecider, []).when(cancel, stands(1, status)).thenRejected({ state: status });
    given(projectionDecider, []).when(cancel, stands()).thenRejected({ state: 'NONE' });
  });

  test('is of a projection that is there', () => {
    for (const command of [rebuild, cancel])
      given(projectionDecider, []).when(command).thenRejected({ code: 'NOT_FOUND', id: NAME });
    const allows = (name: string) =>
      [rebuildProjection, cancelRebuild].every(({ input }) => input.safeParse({ name }).success);
    expect([NAME, '', '\u0000', 'x'.repeat(201)].map(allows)).toEqual([true, false, false, false]);
  });

  test('is begun or given up in the append of its event', () => {
    const effectsOf = (event: ProjectionEvent) =>
      operationsContext.aggregates
        .filter(({ events }) => events.some(({ type }) => type === event.type))
        .flatMap((it) => it.effectsOf?.(event, it.decider.initialState, { aggregateId: NAME, now: NOW }) ?? []);
    expect(effectsOf(requested(1))).toEqual([{ kind: 'beginRebuild', projection: NAME, run: 1 }]);
    expect(effectsOf(cancelled(2))).toEqual([{ kind: 'cancelRebuild', projection: NAME, run: 2 }]);
    for (const { data } of projectionEvents) expect(data.parse(requested(1).data)).toEqual(requested(1).data);
  });
});
