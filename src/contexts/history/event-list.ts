import { z } from 'zod';
import type { RecordedEvent } from '../../eventsourcing/log/event.ts';
import type { EventKey } from '../../eventsourcing/log/event-history.ts';
import { cursorAt, keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { type EventFilterRef, filterOf, readWith } from './event-filter-input.ts';

/** Beyond these, events are not counted. */
const MAX_COUNT = 1_000;
const NAME = 'events';

const eventKey = z.tuple([z.number().int().nonnegative()]);

/** Declares the log as a list, and each event of it by its id; for staff. */
export function addEventList({ builder, event, eventTypes }: SchemaKit, filter: EventFilterRef): void {
  builder.queryField('events', (t) =>
    t.connection(
      {
        type: event,
        audience: 'staff',
        description:
          'What happened, oldest first; `last` gives the newest. Read along an index by aggregateId and correlationId, from and to. For the rest, a page looks through at most 200,000 events: then it may have fewer, or none, while there is more after its endCursor (before its startCursor, for `last`).',
        args: { filter: t.arg({ type: filter, description: 'Which events; all, if left out.' }) },
        reads: readWith,
        resolve: async (_root, args, { engine: { history, timeTravel } }) => {
          const { aggregateTypes } = timeTravel;
          const wanted = filterOf(args.filter, { eventTypes, aggregateTypes });
          let stop: { readonly at: number; readonly inverted: boolean } | undefined;
          const page = await keysetPage(args, {
            name: NAME,
            key: eventKey,
            keyOf: ({ position }: RecordedEvent): EventKey => [position],
            find: async (part) => {
              const { events, stoppedAt } = await history.page(wanted, part);
              stop = stoppedAt === undefined ? undefined : { at: stoppedAt, inverted: part.inverted };
              return [...events];
            },
            count: () => history.count(wanted, MAX_COUNT),
          });
          if (stop === undefined) return page;
          // It goes on from where it was looked last, which need not be at an event that is shown.
          const cursor = cursorAt(NAME, [stop.at]);
          const more = stop.inverted
            ? { hasPreviousPage: true, startCursor: cursor }
            : { hasNextPage: true, endCursor: cursor };
          return { ...page, pageInfo: { ...page.pageInfo, ...more } };
        },
      },
      {
        name: 'EventConnection',
        description: 'A page of events.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'EventEdge', description: 'An event with its cursor.' },
    ),
  );
  builder.queryField('event', (t) =>
    t.field({
      type: event,
      nullable: true,
      audience: 'staff',
      description: 'One event of the log; null if it is not there.',
      args: { eventId: t.arg.id({ required: true, description: 'Its UUID.' }) },
      resolve: (_root, { eventId }, { engine }) => engine.history.find(eventId),
    }),
  );
}
