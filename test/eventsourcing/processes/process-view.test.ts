import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { StorageCodec } from '../../../src/eventsourcing/log/codec.ts';
import { defineEvent, type EventOf, type RecordedEvent } from '../../../src/eventsourcing/log/event.ts';
import type { ProcessManager, ProcessStatus } from '../../../src/eventsourcing/processes/process-manager.ts';
import {
  createProcessProjection,
  type ProcessRow,
  processTable,
  processView,
} from '../../../src/eventsourcing/processes/process-view.ts';
import { ReadRows } from '../../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../../src/platform/database.ts';
import { recorded } from '../../support/recorded.ts';
import { describeEachStore, openMigrated, type TestStore } from '../../support/stores.ts';

/** A process whose every event says how it is to be shown. */
function shownProcess(name: string, type: string): ProcessManager {
  const moved = defineEvent({
    type,
    schemaVersion: 1,
    description: 'It moved on.',
    data: z.object({ step: z.string(), status: z.enum(['RUNNING', 'COMPLETED', 'COMPENSATED']).optional() }),
  });
  const process: ProcessManager<unknown, unknown, EventOf<typeof moved>> = {
    name,
    description: 'Moves on.',
    events: [moved],
    eventTypes: [],
    instanceOf: () => undefined,
    messageOf: () => undefined,
    initialState: undefined,
    decide: () => [],
    evolve: (state) => state,
    effectsOf: () => [],
    view: ({ data: { step, status } }) => ({
      step,
      stepStatus: status === 'COMPENSATED' ? 'UNDONE' : 'DONE',
      detail: step === 'first' ? null : `after ${step}`,
      status,
    }),
  };
  return process as ProcessManager;
}

const projection = createProcessProjection([shownProcess('baking', 'Baked'), shownProcess('selling', 'Sold')]);

const moves = (type: string, ...steps: readonly (readonly [step: string, status?: ProcessStatus])[]) =>
  steps.map(([step, status]) => ({ type, data: { step, status } }));

function fold(events: readonly RecordedEvent[]): ProcessRow {
  const row = events.reduce<ProcessRow | undefined>((it, event) => projection.evolveRow(it, event), undefined);
  if (row === undefined) throw new Error('There is no row.');
  return row;
}

describe('The view of a process', () => {
  it('begins with its first event', () => {
    const [event] = recorded('baking', 'bread', moves('Baked', ['first', 'RUNNING']));
    if (event === undefined) throw new Error('There is one.');
    const later = { ...event, position: 40 };
    expect(projection.keyOf(later)).toBe('baking-bread');
    expect(fold([later])).toEqual({
      id: 'baking-bread',
      process: 'baking',
      instanceId: 'bread',
      status: 'RUNNING',
      correlationId: event.correlationId,
      steps: [{ name: 'first', status: 'DONE', at: event.recordedAt, detail: null }],
      startedAt: event.recordedAt,
      finishedAt: null,
      position: 40,
      startPosition: 40,
    });
  });

  it('goes on with each event, and keeps what it began with', () => {
    const events = recorded('baking', 'bread', moves('Baked', ['first', 'RUNNING'], ['second', 'COMPENSATED']));
    const row = fold(events);
    expect(row).toMatchObject({
      status: 'COMPENSATED',
      correlationId: events[0]?.correlationId,
      startedAt: events[0]?.recordedAt,
      finishedAt: events[1]?.recordedAt,
      position: 2,
      startPosition: 1,
    });
    expect(row.steps[1]).toEqual({
      name: 'second',
      status: 'UNDONE',
      at: events[1]?.recordedAt,
      detail: 'after second',
    });
  });

  it('is not finished any more when it runs again', () => {
    const events = recorded('baking', 'bread', moves('Baked', ['first', 'COMPLETED'], ['again', 'RUNNING']));
    expect(fold(events.slice(0, 1)).finishedAt).toEqual(events[0]?.recordedAt);
    expect(fold(events)).toMatchObject({ status: 'RUNNING', finishedAt: null });
  });

  it('stays as it was where an event says nothing of the whole', () => {
    const steps = [['first', 'COMPLETED'], ['beside'], ['again', 'RUNNING'], ['beside']] as const;
    const events = recorded('baking', 'bread', moves('Baked', ...steps));
    const rows = events.map((_, at) => fold(events.slice(0, at + 1)));
    expect(rows.map(({ status }) => status)).toEqual(['COMPLETED', 'COMPLETED', 'RUNNING', 'RUNNING']);
    const done = events[0]?.recordedAt;
    expect(rows.map(({ finishedAt }) => finishedAt)).toEqual([done, done, null, null]);
    expect(rows.map((row) => row.steps.length)).toEqual([1, 2, 3, 4]);
    expect(fold(recorded('baking', 'bread', moves('Baked', ['beside'])))).toMatchObject({
      status: 'RUNNING',
      finishedAt: null,
    });
  });

  it('keeps the first 20 steps and the last 200', () => {
    const steps = Array.from({ length: 500 }, (_, i) => [`${i + 1}`, 'RUNNING'] as const);
    const namesAfter = (count: number) =>
      fold(recorded('baking', 'bread', moves('Baked', ...steps.slice(0, count)))).steps.map(({ name }) => Number(name));
    expect(namesAfter(220)).toEqual(Array.from({ length: 220 }, (_, i) => i + 1));
    const kept = namesAfter(500);
    expect(kept).toHaveLength(220);
    expect([kept[0], kept[19], kept[20], kept[219]]).toEqual([1, 20, 301, 500]);
  });

  it('shows each process by its own events, under a key of its own', () => {
    const [sold] = recorded('selling', 'bread', moves('Sold', ['first', 'RUNNING']));
    if (sold === undefined) throw new Error('There is one.');
    expect(projection.eventTypes).toEqual(['Baked', 'Sold']);
    expect(fold([sold])).toMatchObject({ id: 'selling-bread', process: 'selling' });
    expect(projection.streamsOf(fold([sold]))).toEqual([sold.streamId]);
  });

  it('does not know which process an event is of that two have', () => {
    expect(() => createProcessProjection([shownProcess('baking', 'Baked'), shownProcess('selling', 'Baked')])).toThrow(
      'baking and selling both have an event Baked.',
    );
  });

  it('is found by the name and table of the one that runs', () => {
    expect([processView.name, processView.table]).toEqual([projection.name, projection.table]);
  });
});

describeEachStore('The table of processes', (kind) => {
  let store: TestStore;
  let database: Database;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  it('gives a row back as it was folded', async () => {
    const rows = new ReadRows(processTable, database.derived, new StorageCodec());
    const owner = randomUUID();
    const move = { name: 'projection:processes', version: projection.version, owner, from: 0, to: 2 };
    await database.log.query(
      'INSERT INTO checkpoints (name, version, position, owner, updated_at) VALUES ($1, $2, 0, $3::uuid, now())',
      move.name,
      move.version,
      owner,
    );
    const finished = fold(recorded('baking', 'bread', moves('Baked', ['first', 'RUNNING'], ['second', 'COMPLETED'])));
    const running = fold(recorded('selling', 'bread', moves('Sold', ['first', 'RUNNING'])));
    expect(await rows.save([finished, running], { ...move, parking: undefined, now: new Date() })).toBe(true);
    expect(await rows.load([finished.id, running.id, 'baking-cake'])).toEqual(
      new Map([
        [finished.id, finished],
        [running.id, running],
      ]),
    );
  });
});
