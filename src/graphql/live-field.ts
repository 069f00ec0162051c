import type { ObjectRef } from '@pothos/core';
import type { LiveChange } from '../eventsourcing/live/live-subscription.ts';
import type { RecordedEvent } from '../eventsourcing/log/event.ts';
import { PositionUnknown } from '../eventsourcing/log/position.ts';
import type { ProjectedRow, Projection } from '../eventsourcing/projections/projection.ts';
import type { BuilderTypes, SchemaBuilderOf } from './builder.ts';
import type { RequestContext } from './context.ts';
import type { EventInterface } from './events.ts';
import { fault } from './faults.ts';

/** A position that a client sent, as a number. @throws the fault POSITION_UNKNOWN */
export async function decodePosition(position: string, { engine }: RequestContext): Promise<number> {
  const { positions, tail } = engine;
  try {
    // What sorts behind the head may have been given by another process, of whose appends this one has not heard yet.
    const head = position > positions.encode(tail.head) ? await tail.refresh() : tail.head;
    return positions.decode(position, head);
  } catch (error) {
    if (error instanceof PositionUnknown) throw fault('POSITION_UNKNOWN', error.message);
    throw error;
  }
}

/**
 * Waits until a row has reached what the caller has seen.
 * @throws the faults STALE_READ and PROJECTION_PARKED
 */
export async function waitFor<Row extends ProjectedRow>(
  projection: Projection<Row>,
  key: string,
  minPosition: string | null | undefined,
  context: RequestContext,
): Promise<void> {
  if (minPosition === null || minPosition === undefined) return;
  const position = await decodePosition(minPosition, context);
  const view = context.engine.view(projection);
  if (!(await view.follower.reach(position, context.readWaitMs))) {
    throw fault('STALE_READ', `What you ask for is not up to ${minPosition} yet: ask again, or without minPosition.`);
  }
  if (await view.isParked(key)) throw parked();
}

/** What waits for an operator is not shown as if it were up to date. */
export function parked() {
  return fault(
    'PROJECTION_PARKED',
    'A change of this could not be applied, and waits for an operator. Ask again later, or without minPosition for what there is.',
  );
}

/** The type of a live view's payloads: the entity as it stands, and the events since the payload before. */
export function addChangeType(
  builder: SchemaBuilderOf,
  event: EventInterface,
  entity: { readonly name: string; readonly member: string; readonly ref: ObjectRef<BuilderTypes, ProjectedRow> },
) {
  return builder.objectRef<LiveChange<ProjectedRow>>(`${entity.name}Change`).implement({
    description: `The live view of one ${entity.member}. The first payload is always the ${entity.member} as it stands; each later one holds every event since the payload before, so none is ever missed, though a slow client may get several in one. With \`after\`, the first payload's events are those since that position.`,
    audience: 'public',
    fields: (t) => ({
      [entity.member]: t.field({ type: entity.ref, description: 'As it stands.', resolve: (it) => it.row }),
      position: t.field({
        type: 'Position',
        description: 'Send it as `after` to go on from here.',
        resolve: (it, _args, { engine }) => engine.positions.encode(it.position),
      }),
      events: t.field({
        type: [event],
        description: 'What happened since the payload before, oldest first.',
        resolve: (it): readonly RecordedEvent[] => it.events,
      }),
    }),
  });
}

/**
 * The source of a live view.
 * @param mayWatch whether the caller may see this row; for others it is not there
 * @throws the faults NOT_FOUND, POSITION_UNKNOWN, STALE_READ and PROJECTION_PARKED
 */
export async function watch<Row extends ProjectedRow>(
  projection: Projection<Row>,
  key: string,
  after: string | null | undefined,
  context: RequestContext,
  mayWatch: (row: Row) => boolean,
): Promise<AsyncIterable<LiveChange<Row>>> {
  await waitFor(projection, key, after, context);
  const view = context.engine.view(projection);
  const row = await view.readCommitted(key);
  if (row !== undefined && mayWatch(row) && (await view.isParked(key))) throw parked();
  const from = after === null || after === undefined ? undefined : await decodePosition(after, context);
  const subscription = row !== undefined && mayWatch(row) ? await view.live.subscribe(key, from) : undefined;
  if (subscription === undefined) throw fault('NOT_FOUND', 'There is nothing by that id to watch.');
  return subscription;
}
