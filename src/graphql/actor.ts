import { ACTOR_KINDS, type Actor, type ActorKind, isThemselvesOrStaff } from '../eventsourcing/actor.ts';
import type { SchemaBuilderOf } from './builder.ts';

const ACTOR_KIND_MEANINGS: Record<ActorKind, string> = {
  ANONYMOUS: 'Somebody who did not say who they are.',
  GUEST: 'A visitor of the shop without an account.',
  CUSTOMER: 'A customer.',
  STAFF: 'Somebody who works for the shop.',
  ADMIN: 'Somebody who may do everything.',
  SERVICE: 'Another system.',
  PROCESS: 'A process of this server that reacts to events.',
  SYSTEM: 'This server itself.',
};

/** The type of whoever acts. */
export function addActor(builder: SchemaBuilderOf) {
  const actorKind = builder.enumType('ActorKind', {
    description: 'What kind of someone acts.',
    values: Object.fromEntries(ACTOR_KINDS.map((kind) => [kind, { description: ACTOR_KIND_MEANINGS[kind] }])),
  });
  return builder.objectRef<Actor>('Actor').implement({
    description: 'Who did something.',
    audience: 'public',
    fields: (t) => ({
      kind: t.field({ type: actorKind, description: 'What kind of someone.', resolve: (it) => it.kind }),
      id: t.id({
        nullable: true,
        description: 'Who exactly; told to themselves and to staff.',
        resolve: (it, _args, { actor: viewer }) => (isThemselvesOrStaff(viewer, it) ? it.id : null),
      }),
    }),
  });
}

export type ActorRef = ReturnType<typeof addActor>;
