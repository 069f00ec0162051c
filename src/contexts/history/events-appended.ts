import { type EventsAppended, LogSubscription } from '../../eventsourcing/log/log-subscription.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { decodePosition } from '../../graphql/live-field.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { type EventFilterRef, filterOf, readWith } from './event-filter-input.ts';

/** Declares the log as it grows; for staff. */
export function addEventsAppended({ builder, event, eventTypes }: SchemaKit, filter: EventFilterRef): void {
  const appended = builder.objectRef<EventsAppended>('EventsAppended').implement({
    description:
      'Events in order, and how far the log has been read: progress comes even where no event passes the filter, though not more than once a second.',
    audience: 'public',
    fields: (t) => ({
      events: t.field({
        type: [event],
        description: 'Those that pass the filter since the payload before, oldest first; at most 500.',
        resolve: (it) => it.events,
      }),
      position: t.field({
        type: 'Position',
        description: 'Send it as `after` to go on from here.',
        resolve: (it, _args, { engine }) => engine.positions.encode(it.position),
      }),
    }),
  });
  builder.subscriptionField('eventsAppended', (t) =>
    t.field({
      type: appended,
      audience: 'staff',
      description:
        'The log itself, from `after` (or from now on), then live: ordered, gap-free. The first payload comes at once.',
      args: {
        filter: t.arg({ type: filter, description: 'Which events; all, if left out.' }),
        after: t.arg({ type: 'Position', description: 'Resume: only events after this position.' }),
      },
      reads: readWith,
      subscribe: async (_root, args, context) => {
        const { tail, history, timeTravel } = context.engine;
        const { aggregateTypes } = timeTravel;
        const filtered = filterOf(args.filter, { eventTypes, aggregateTypes });
        return new LogSubscription({ tail, history, filter: filtered, after: await beginning(args.after, context) });
      },
      resolve: (it) => it,
    }),
  );
}

/** @throws the fault POSITION_UNKNOWN */
async function beginning(after: string | null | undefined, context: RequestContext): Promise<number> {
  const { tail, log } = context.engine;
  if (after !== null && after !== undefined) return decodePosition(after, context);
  // Other processes may have appended what this one has not heard of yet: that was before now.
  return Math.max(tail.head, (await log.head()).position);
}
