import { isAudience } from '../../eventsourcing/actor.ts';
import type { StoreStanding } from '../../eventsourcing/backup/store-state.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { fault } from '../../graphql/faults.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { isCopyName } from '../../platform/store-copies.ts';

const ADMIN = 'For admins.';

/** Declares the store as a whole, and what only an admin does with it. */
export function addStoreType({ builder }: SchemaKit): void {
  const store = builder.objectRef<StoreStanding>('Store').implement({
    description: 'All that is stored, as a whole.',
    audience: 'owner',
    fields: (t) => ({
      position: t.field({
        type: 'Position',
        description: 'The end of the log.',
        resolve: ({ position }, _args, { engine }) => engine.positions.encode(position),
      }),
      pausedAt: t.field({
        type: 'DateTime',
        nullable: true,
        description:
          'Since when nothing that is queued is run: commands, timers, and what processes do. Null while it is.',
        resolve: (it) => it.pausedAt,
      }),
      pauseReason: t.string({ nullable: true, description: 'Why.', resolve: (it) => it.pauseReason }),
    }),
  });
  const copy = builder.objectRef<{ readonly pausedMs: number | null }>('StoreCopy').implement({
    description: 'A copy of an embedded store.',
    audience: 'owner',
    fields: (t) => ({
      pausedMs: t.int({
        nullable: true,
        description:
          'For how long statements waited, in milliseconds. Null of a PostgreSQL server, which is not copied.',
        resolve: (it) => it.pausedMs,
      }),
    }),
  });

  builder.queryField('store', (t) =>
    t.field({
      type: store,
      audience: 'staff',
      reads: 'nothing',
      description: 'How the store stands as a whole.',
      resolve: (_root, _args, { engine }) => engine.store.read(),
    }),
  );
  builder.mutationField('resumeStore', (t) =>
    t.field({
      type: store,
      audience: 'admin',
      description: `What is queued may run again, after a restore. It is no command: the log does not know of it. ${ADMIN}`,
      resolve: async (_root, _args, context) => {
        expectAdmin(context);
        await context.engine.store.resume();
        return context.engine.store.read();
      },
    }),
  );
  builder.mutationField('copyStore', (t) =>
    t.field({
      type: copy,
      audience: 'admin',
      description: `An embedded store is copied into a folder in its own that is there for that: what cartstream backup asks for. ${ADMIN}`,
      args: { folder: t.arg.string({ required: true, description: 'The name of the folder.' }) },
      resolve: async (_root, { folder }, context) => {
        expectAdmin(context);
        if (!isCopyName(folder)) throw fault('BAD_USER_INPUT', 'folder must be a name that cartstream backup makes.');
        const pausedMs = await context.engine.store.copyAs(folder);
        return { pausedMs: pausedMs === undefined ? null : Math.round(pausedMs) };
      },
    }),
  );
}

/** The gate lets mutations pass, for those that are commands are looked at by the executor. */
function expectAdmin({ actor }: RequestContext): void {
  if (!isAudience(actor, 'admin')) throw fault('FORBIDDEN', 'This is for admin only.');
}
