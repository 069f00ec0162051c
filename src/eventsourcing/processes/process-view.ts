import { z } from 'zod';
import type { AnyEvent } from '../commands/decider.ts';
import type { RecordedEvent } from '../log/event.ts';
import { streamIdOf } from '../log/stream-id.ts';
import type { Projection } from '../projections/projection.ts';
import { column, type ReadTable } from '../projections/read-table.ts';
import type { ProcessManager, ProcessStatus } from './process-manager.ts';

/** Of the steps of an instance that goes on and on, these are kept: how it began, and what it did last. */
const FIRST_STEPS = 20;
const LAST_STEPS = 200;

const processStep = z.object({
  name: z.string(),
  status: z.enum(['DONE', 'WAITING', 'FAILED', 'UNDONE']),
  at: column.instant(),
  detail: z.string().nullable(),
});
export type ProcessStep = z.output<typeof processStep>;

export const PROCESS_STATUSES = ['RUNNING', 'COMPLETED', 'COMPENSATED'] as const satisfies readonly ProcessStatus[];

/** An instance of a process, as whoever watches over processes sees it. */
export const processRow = z.object({
  /** That of its stream: `merging-carts-<instance id>`. */
  id: z.string(),
  process: z.string(),
  instanceId: z.string(),
  status: z.enum(PROCESS_STATUSES),
  /** Of what began it. */
  correlationId: z.string(),
  /** Oldest first: the first 20 and the last 200. */
  steps: z.array(processStep),
  startedAt: column.instant(),
  /** Null while it runs: also if it runs again. */
  finishedAt: column.instant().nullable(),
  position: column.safeInt(),
  startPosition: column.safeInt(),
});
export type ProcessRow = z.output<typeof processRow>;

export const processTable: ReadTable<ProcessRow> = { name: 'process_view', key: 'id', row: processRow };

/**
 * One row for each instance of these processes, folded from what they remember.
 * @throws where two processes have an event of the same name
 */
export function createProcessProjection(processes: readonly ProcessManager[]): Projection<ProcessRow> {
  const byEventType = new Map<string, ProcessManager>();
  for (const process of processes) {
    for (const { type } of process.events) {
      const other = byEventType.get(type);
      if (other !== undefined) throw new Error(`${other.name} and ${process.name} both have an event ${type}.`);
      byEventType.set(type, process);
    }
  }
  return {
    name: 'processes',
    version: 1,
    table: processTable,
    eventTypes: [...byEventType.keys()],
    keyOf: ({ aggregateType, aggregateId }) => streamIdOf(aggregateType, aggregateId),
    evolveRow: (row, event) => {
      const process = byEventType.get(event.type);
      return process === undefined ? row : evolve(row, event, process);
    },
    streamsOf: ({ id }) => [id],
  };
}

/** By which the engine finds the view of all processes: the projection that runs has the same name. */
export const processView = createProcessProjection([]);

function evolve(row: ProcessRow | undefined, event: RecordedEvent, process: ProcessManager): ProcessRow {
  const { aggregateId, correlationId, position, recordedAt } = event;
  const { step, stepStatus, detail, ...view } = process.view(event as AnyEvent);
  const status = view.status ?? row?.status ?? 'RUNNING';
  const began = row ?? {
    id: streamIdOf(process.name, aggregateId),
    process: process.name,
    instanceId: aggregateId,
    correlationId,
    steps: [],
    startedAt: recordedAt,
    startPosition: position,
  };
  return {
    ...began,
    status,
    steps: withStep(began.steps, { name: step, status: stepStatus, at: recordedAt, detail }),
    finishedAt: status === 'RUNNING' ? null : (view.status === undefined && row?.finishedAt) || recordedAt,
    position,
  };
}

function withStep(steps: readonly ProcessStep[], step: ProcessStep): ProcessStep[] {
  const isFull = steps.length >= FIRST_STEPS + LAST_STEPS;
  return [...(isFull ? steps.toSpliced(FIRST_STEPS, 1) : steps), step];
}
