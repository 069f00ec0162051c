import { z } from 'zod';
import { actsForStaff } from '../../eventsourcing/actor.ts';
import {
  PROCESS_STATUSES,
  type ProcessRow,
  type ProcessStep,
  processView,
} from '../../eventsourcing/processes/process-view.ts';
import type { ReadRows } from '../../eventsourcing/projections/read-table.ts';
import { keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import { expectKnown } from '../../graphql/nearest.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { isUuid } from '../../platform/column-values.ts';
import { Conditions, type KeysetOrder, type KeysetPage, keysetClauses } from '../../platform/keyset.ts';
import type { SharedTypes } from '../shared-types.ts';

/** Beyond these, processes are not counted. */
const MAX_COUNT = 1_000;

const ORDER: KeysetOrder = { columns: [{ name: 'start_position', type: 'bigint' }], descending: true };
/**
 * What began with one request is little, and sorted once it is found. Without statistics, which an embedded store never
 * has, the database would rather look for it among all processes, in their order.
 */
const ORDER_OF_FEW: KeysetOrder = { columns: [{ name: '(start_position + 0)', type: 'bigint' }], descending: true };
const processKey = z.tuple([z.number().int()]);
type ProcessKey = z.output<typeof processKey>;

interface ProcessesWanted {
  readonly status: readonly string[] | undefined;
  readonly correlationId: string | undefined;
}

/** Declares the instances of all processes, for staff. */
export function addProcessType({ builder }: SchemaKit, shared: SharedTypes): void {
  const step = builder.objectRef<ProcessStep>('ProcessStep').implement({
    description: 'Something that a process did, or waits for.',
    audience: 'owner',
    fields: (t) => ({
      name: t.string({ description: 'What it is about.', resolve: (it) => it.name }),
      status: t.string({ description: 'DONE, WAITING, FAILED or UNDONE.', resolve: (it) => it.status }),
      at: t.field({ type: 'DateTime', description: 'When it became so.', resolve: (it) => it.at }),
      detail: t.string({ nullable: true, description: 'More about it.', resolve: (it) => it.detail }),
    }),
  });
  const instance = builder.objectRef<ProcessRow>('ProcessInstance');
  shared.provideLink('ProcessInstance', { ref: instance, load: (id, { engine }) => engine.view(processView).read(id) });
  builder.node(instance, {
    description: 'A process at work for one thing: the merge of two carts, say. For staff.',
    audience: 'owner',
    id: { resolve: ({ id }) => id },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'startPosition' in value,
    loadMany: async (ids: string[], { engine, actor }) => {
      const rows = actsForStaff(actor) ? await engine.view(processView).rows.load(ids) : new Map();
      return ids.map((id) => rows.get(id) ?? null);
    },
    fields: (t) => ({
      process: t.string({ description: 'The name of the process.', resolve: (it) => it.process }),
      status: t.string({ description: 'RUNNING, COMPLETED or COMPENSATED.', resolve: (it) => it.status }),
      correlationId: t.id({ description: 'Of the request that began it.', resolve: (it) => it.correlationId }),
      steps: t.field({
        type: [step],
        description: 'What it did, oldest first; of very many, the first 20 and the last 200.',
        resolve: (it) => it.steps,
      }),
      startedAt: t.field({ type: 'DateTime', description: 'When it began.', resolve: (it) => it.startedAt }),
      finishedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it came to its end; null while it runs.',
        resolve: (it) => it.finishedAt,
      }),
    }),
  });

  builder.queryField('processes', (t) =>
    t.connection(
      {
        type: instance,
        audience: 'staff',
        description: 'What processes are at work, and were; the newest first.',
        args: {
          status: t.arg.stringList({
            description: 'One of these: RUNNING, COMPLETED, COMPENSATED. Another is an error.',
          }),
          correlationId: t.arg.id({ description: 'Begun by this request.' }),
        },
        resolve: (_root, args, { engine }) => {
          const { rows } = engine.view(processView);
          for (const it of args.status ?? []) expectKnown('status of processes', it, PROCESS_STATUSES);
          const wanted = { status: args.status ?? undefined, correlationId: args.correlationId ?? undefined };
          return keysetPage(args, {
            name: 'processes',
            key: processKey,
            keyOf: ({ startPosition }: ProcessRow): ProcessKey => [startPosition],
            find: (page) => findProcesses(rows, wanted, page),
            count: () => countProcesses(rows, wanted),
          });
        },
      },
      {
        name: 'ProcessConnection',
        description: 'A page of processes.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'ProcessEdge', description: 'A process with its cursor.' },
    ),
  );
}

function findProcesses(rows: ReadRows<ProcessRow>, wanted: ProcessesWanted, page: KeysetPage<ProcessKey>) {
  const conditions = conditionsOf(wanted);
  const sorted = keysetClauses(wanted.correlationId === undefined ? ORDER : ORDER_OF_FEW, page, conditions);
  return rows.find(`${conditions.where()} ${sorted}`, ...conditions.parameters);
}

function countProcesses(rows: ReadRows<ProcessRow>, wanted: ProcessesWanted): Promise<number | null> {
  const conditions = conditionsOf(wanted);
  return rows.count(conditions.where(), MAX_COUNT, ...conditions.parameters);
}

function conditionsOf({ status, correlationId }: ProcessesWanted): Conditions {
  const conditions = new Conditions();
  if (status !== undefined) {
    // One of them can be read from its index in order.
    if (status.length === 1) conditions.add((at) => `status = ${at}::text`, status[0]);
    else conditions.add((at) => `status = ANY (${at}::text[])`, status);
  }
  if (correlationId === undefined) return conditions;
  if (isUuid(correlationId)) conditions.add((at) => `correlation_id = ${at}::uuid`, correlationId);
  else conditions.addNever();
  return conditions;
}
