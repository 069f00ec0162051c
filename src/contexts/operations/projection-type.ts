import {
  PROJECTION_STATUSES,
  type ProjectionState,
  type ProjectionStatus,
} from '../../eventsourcing/projections/projection-states.ts';
import {
  REBUILD_STATUSES,
  type RebuildRow,
  type RebuildStatus,
} from '../../eventsourcing/projections/rebuild-store.ts';
import { fault } from '../../graphql/faults.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';

const STATUS_MEANINGS: Record<ProjectionStatus, string> = {
  LIVE: 'It keeps up with the log.',
  CATCHING_UP: 'It is more than 1,000 events behind.',
  PARKED: 'It goes on, but for rows of which an event failed and waits as a dead letter.',
  STOPPED: 'No process is at work on it: its rows stay as they are until one is.',
};
const REBUILD_MEANINGS: Record<RebuildStatus, string> = {
  RUNNING: 'The log is folded anew, beside the live rows.',
  COMPARING: 'The rebuilt rows are compared with the live ones, while both go on.',
  SWAPPED: 'The rebuilt rows have replaced those before.',
  CANCELLED: 'It was given up. The live rows stayed as they are.',
  FAILED: 'It could not be done. The live rows stayed as they are.',
};

/** Declares how projections stand, for staff. */
export function addProjectionType({ builder }: SchemaKit) {
  const status = builder.enumType('ProjectionStatus', {
    description: 'Whether a projection keeps up.',
    values: described(PROJECTION_STATUSES, STATUS_MEANINGS),
  });
  const rebuildStatus = builder.enumType('RebuildStatus', {
    description: 'How far a rebuild is, or what became of it.',
    values: described(REBUILD_STATUSES, REBUILD_MEANINGS),
  });
  const rebuild = builder.objectRef<RebuildRow>('ProjectionRebuild').implement({
    description: 'A projection that is folded anew from the first event on.',
    audience: 'owner',
    fields: (t) => ({
      status: t.field({ type: rebuildStatus, description: 'How far it is.', resolve: (it) => it.status }),
      processed: t.field({
        type: 'SafeInt',
        description: 'How many events of the log it has gone through.',
        resolve: (it) => it.position,
      }),
      total: t.field({
        type: 'SafeInt',
        description: 'How many there are to go through; grows with the log while it is under way.',
        resolve: (it) => it.total,
      }),
      differences: t.field({
        type: 'SafeInt',
        nullable: true,
        description: 'How many rows differed from those that they replaced; null until it has ended.',
        resolve: (it) => it.differences,
      }),
      differentKeys: t.stringList({
        description: 'The keys of the first ten rows that differed.',
        resolve: (it) => [...it.differentKeys],
      }),
      startedAt: t.field({ type: 'DateTime', description: 'When it began.', resolve: (it) => it.startedAt }),
      finishedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description: 'When it ended; null while it is under way.',
        resolve: (it) => it.finishedAt,
      }),
      error: t.string({ nullable: true, description: 'Why it failed.', resolve: (it) => it.error }),
    }),
  });
  const projection = builder.objectRef<ProjectionState>('Projection').implement({
    description: 'A read table that is kept up with the log. For staff.',
    audience: 'owner',
    aggregates: ({ name }) => [{ type: 'projection', id: name }],
    fields: (t) => ({
      name: t.string({ description: 'Its name: cart.carts, say.', resolve: (it) => it.name }),
      status: t.field({ type: status, description: 'Whether it keeps up.', resolve: (it) => it.status }),
      version: t.int({
        description: 'The version of the code that its rows were folded by. A newer one has them rebuilt.',
        resolve: (it) => it.version,
      }),
      position: t.field({
        type: 'Position',
        description: 'Up to here every event is in it, or parked.',
        resolve: (it, _args, { engine }) => engine.positions.encode(it.position),
      }),
      lag: t.field({
        type: 'SafeInt',
        description: 'How far it is behind the end of the log, in events.',
        resolve: (it) => it.lag,
      }),
      rebuild: t.field({
        type: rebuild,
        nullable: true,
        description: 'The rebuild that was begun last, whatever became of it; null if there was none.',
        resolve: (it) => it.rebuild,
      }),
    }),
  });

  builder.queryField('projections', (t) =>
    t.field({
      type: [projection],
      audience: 'staff',
      description: 'All projections, by name.',
      resolve: async (_root, _args, { engine }) => [...(await engine.projections.find()).values()],
    }),
  );
  builder.subscriptionField('projectionChanged', (t) =>
    t.field({
      type: projection,
      audience: 'staff',
      description: 'A projection as it stands, and again whenever that has changed, twice a second at most.',
      args: { name: t.arg.string({ required: true, description: 'The name of the projection.' }) },
      reads: ({ name }) => ({ type: 'projection', id: name }),
      subscribe: async (_root, { name }, { engine }) => {
        const states = await engine.projectionWatch.watch(name);
        if (states === undefined) throw fault('NOT_FOUND', `There is no projection ${name}: see projections.`);
        return states;
      },
      resolve: (it) => it,
    }),
  );
  return projection;
}

function described<Name extends string>(names: readonly Name[], meanings: Readonly<Record<Name, string>>) {
  return Object.fromEntries(names.map((name) => [name, { description: meanings[name] }])) as Record<
    Name,
    { description: string }
  >;
}
