import type { EventFilter } from '../../eventsourcing/log/event-filter.ts';
import type { AggregateName } from '../../eventsourcing/reads/read-records.ts';
import { aggregateNamedBy } from '../../graphql/aggregate-name.ts';
import { fault } from '../../graphql/faults.ts';
import { parseGlobalId } from '../../graphql/global-id.ts';
import { expectKnown, quoted } from '../../graphql/nearest.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';

const MAX_TYPES = 100;

/** Declares which events are wanted, by list and live alike. */
export function addEventFilter({ builder }: SchemaKit) {
  return builder.inputType('EventFilter', {
    description: 'Which events; all of what is given must hold.',
    fields: (t) => ({
      aggregateType: t.string({
        description:
          'Of this kind of aggregate, or of this process: cart, checkout. One that there is not is an error.',
      }),
      aggregateId: t.id({
        description:
          'Of this aggregate: its id, or its raw id as it stands in the log. Without aggregateType, of every aggregate with that raw id: a product and its stock, say.',
      }),
      types: t.stringList({
        description: `One of these, at most ${MAX_TYPES}: ItemAddedToCart, say. One that there is not is an error.`,
      }),
      actorId: t.id({
        description: 'Done by whoever has this id: of a customer, of somebody of the staff, of a process.',
      }),
      correlationId: t.id({ description: 'What began with the same request.' }),
      from: t.field({ type: 'DateTime', description: 'Recorded then or later.' }),
      to: t.field({ type: 'DateTime', description: 'Recorded before then.' }),
    }),
  });
}

export type EventFilterRef = ReturnType<typeof addEventFilter>;

/** As it is sent: null is what is left out. */
type Sent = { readonly [Member in Exclude<keyof EventFilter, 'streamId'>]?: EventFilter[Member] | null };

/** What a filter may name. */
export interface KnownNames {
  readonly eventTypes: ReadonlySet<string>;
  readonly aggregateTypes: readonly string[];
}

/** @throws the fault BAD_USER_INPUT */
export function filterOf(sent: Sent | null | undefined, known: KnownNames): EventFilter {
  const { aggregateType, aggregateId, types, actorId, correlationId, from, to } = sent ?? {};
  if ((types?.length ?? 0) > MAX_TYPES) throw fault('BAD_USER_INPUT', `At most ${MAX_TYPES} types.`);
  for (const type of types ?? []) {
    expectKnown('type of events', type, known.eventTypes, ' All are the types that implement Event.');
  }
  if (aggregateType != null) expectAggregateType(aggregateType, known);
  return {
    aggregateType: aggregateType ?? undefined,
    ...aggregateOf(aggregateId ?? undefined),
    types: types ?? undefined,
    actorId: actorId == null ? undefined : (parseGlobalId(actorId)?.id ?? actorId),
    correlationId: correlationId ?? undefined,
    from: from ?? undefined,
    to: to ?? undefined,
  };
}

function expectAggregateType(type: string, { aggregateTypes }: KnownNames): void {
  if (aggregateTypes.includes(type)) return;
  const known = aggregateTypes.toSorted().join(', ');
  throw fault('BAD_USER_INPUT', `There is no type of aggregates or processes ${quoted(type)}: there are ${known}.`);
}

/** What is read with a filter that names an aggregate, with its kind; for the audit of reads. */
export function readWith({ filter }: { readonly filter?: Sent | null | undefined }): AggregateName | undefined {
  const { aggregateType: type, aggregateId } = filter ?? {};
  if (aggregateId == null) return undefined;
  const named = aggregateNamedBy(aggregateId);
  if (named === undefined) return type == null ? undefined : { type, id: aggregateId };
  return { ...named, type: type ?? named.type };
}

function aggregateOf(id: string | undefined): Pick<EventFilter, 'aggregateId' | 'streamId'> {
  const parsed = id === undefined ? undefined : parseGlobalId(id);
  // An instance is known by the name of its process, too.
  if (parsed?.typename === 'ProcessInstance') return { streamId: parsed.id };
  return { aggregateId: parsed?.id ?? id };
}
