import type { Difference } from '../../eventsourcing/history/difference.ts';
import {
  TooManyDifferences,
  UnknownAggregate,
  UnknownAggregateType,
  UnknownVersion,
} from '../../eventsourcing/history/time-travel.ts';
import { fault } from '../../graphql/faults.ts';
import { parseGlobalId } from '../../graphql/global-id.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { pointOf, throwAsFault } from '../../graphql/time-travel.ts';

/** More than these are not listed. */
const MAX_CHANGES = 10_000;

/** Declares what changed in an aggregate between two points. */
export function addDiff({ builder, asOf }: SchemaKit): void {
  const change = builder.objectRef<Difference>('FieldChange').implement({
    description:
      'One thing in the state of an aggregate that is not the same at two points. Lists that became longer or shorter are one change as a whole; so is whatever came or went.',
    audience: 'public',
    fields: (t) => ({
      path: t.string({
        nullable: false,
        description: 'Where it is in the state: a JSON pointer (RFC 6901), `/lines/MUG/quantity`.',
        resolve: (it) => it.path,
      }),
      from: t.field({
        type: 'JSON',
        nullable: true,
        description: 'What was there; null for nothing.',
        resolve: (it) => it.from,
      }),
      to: t.field({
        type: 'JSON',
        nullable: true,
        description: 'What is there then; null for nothing.',
        resolve: (it) => it.to,
      }),
    }),
  });
  builder.queryField('diff', (t) =>
    t.field({
      type: [change],
      audience: 'staff',
      description: `What changed in an aggregate, or an instance of a process, between two points: in what it decides from, not in a view of it. At most ${MAX_CHANGES} changes, in the order of their paths; more are an error, as are unknown aggregates and versions.`,
      args: {
        aggregateType: t.arg.string({ required: true, description: 'The kind of aggregate: `cart`.' }),
        aggregateId: t.arg.id({ required: true, description: 'Its id, or its raw id as it stands in the log.' }),
        from: t.arg({ type: asOf, required: true, description: 'The one point; version 0 is before it was there.' }),
        to: t.arg({ type: asOf, description: 'The other point; now, if it is left out. It may be the earlier one.' }),
      },
      reads: ({ aggregateType, aggregateId }) => ({
        type: aggregateType,
        id: parseGlobalId(aggregateId)?.id ?? aggregateId,
      }),
      resolve: async (_root, { aggregateType, aggregateId, from, to }, { engine }) => {
        const aggregate = { aggregateType, aggregateId: parseGlobalId(aggregateId)?.id ?? aggregateId };
        const points = [pointOf(from), to ? pointOf(to) : undefined] as const;
        return engine.timeTravel.compare(aggregate, ...points, MAX_CHANGES).catch(explain);
      },
    }),
  );
}

function explain(error: unknown): never {
  if (error instanceof UnknownAggregate) throw fault('NOT_FOUND', error.message);
  if (error instanceof UnknownAggregateType || error instanceof UnknownVersion) {
    throw fault('BAD_USER_INPUT', error.message);
  }
  if (error instanceof TooManyDifferences) {
    throw fault('BAD_USER_INPUT', `${error.message} Choose points that are closer together.`);
  }
  return throwAsFault(error);
}
