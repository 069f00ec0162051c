import { z } from 'zod';
import {
  keyOfRead,
  READ_OUTCOMES,
  type ReadFilter,
  type ReadKey,
  type ReadOutcome,
  type ReadRecord,
} from '../../eventsourcing/reads/read-records.ts';
import { aggregateNamedBy } from '../../graphql/aggregate-name.ts';
import { parseGlobalId } from '../../graphql/global-id.ts';
import { cursorInstant, keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';

/** Beyond these, reads are not counted. */
const MAX_COUNT = 1_000;

const MEANINGS: Record<ReadOutcome, string> = {
  SHOWN: 'It was shown, or a part of it.',
  NOTHING: 'There was nothing by that name, or nothing for them.',
  REFUSED: 'They may not ask for that.',
  FAILED: 'It could not be answered.',
  MORE: 'The same operation showed more than is recorded of one.',
};

const readKey = z.tuple([cursorInstant, z.guid()]);

/** Declares who read what; for admins alone, since it says what everybody looks at. */
export function addReadAudit({ builder, actor }: SchemaKit): void {
  const outcome = builder.enumType('ReadOutcome', {
    description: 'What came of a read.',
    values: Object.fromEntries(READ_OUTCOMES.map((name) => [name, { description: MEANINGS[name] }])) as Record<
      ReadOutcome,
      { description: string }
    >,
  });
  const read = builder.objectRef<ReadRecord>('ReadRecord').implement({
    description: 'Somebody read something, where the server records that. Admins alone are given any.',
    audience: 'owner',
    fields: (t) => ({
      at: t.field({ type: 'DateTime', description: 'When.', resolve: (it) => it.at }),
      actor: t.field({ type: actor, description: 'Who.', resolve: (it) => it.actor }),
      operation: t.string({
        nullable: true,
        description: 'What the client called its operation, if it did.',
        resolve: (it) => it.operation,
      }),
      field: t.string({
        description: 'The field that was asked for: Query.order, Subscription.orderChanged, say.',
        resolve: (it) => it.field,
      }),
      outcome: t.field({ type: outcome, description: 'What came of it.', resolve: (it) => it.outcome }),
      aggregateType: t.string({
        nullable: true,
        description: 'The kind of aggregate; null where the field is about no single one, as an empty list is.',
        resolve: (it) => it.aggregate?.type,
      }),
      aggregateId: t.id({
        nullable: true,
        description: 'The raw id of the aggregate.',
        resolve: (it) => it.aggregate?.id,
      }),
      correlationId: t.id({
        description: 'Common to all that one operation read; the x-correlation-id, if the client sent one.',
        resolve: (it) => it.correlationId,
      }),
    }),
  });
  const filter = builder.inputType('ReadFilter', {
    description: 'Which reads; all of what is given must hold.',
    fields: (t) => ({
      aggregateType: t.string({ description: 'Of this kind of aggregate: order, customer.' }),
      aggregateId: t.id({
        description: 'Of this aggregate: its id, or its raw id as it stands in the log, of whatever kind.',
      }),
      actorId: t.id({ description: 'By whoever has this id.' }),
      from: t.field({ type: 'DateTime', description: 'Then or later.' }),
      to: t.field({ type: 'DateTime', description: 'Before then.' }),
    }),
  });
  builder.queryField('readAudit', (t) =>
    t.connection(
      {
        type: read,
        audience: 'admin',
        description:
          'Who read what, the newest first: empty unless the server is set to record it (AUDIT_READS). What was read within the last instants may not be there yet.',
        args: { filter: t.arg({ type: filter, description: 'Which reads; all, if left out.' }) },
        reads: ({ filter: sent }) => {
          const { aggregateType: type, aggregateId: id } = wantedOf(sent ?? {});
          return type === undefined || id === undefined ? undefined : { type, id };
        },
        resolve: (_root, args, { readAudit: { records } }) => {
          const wanted = wantedOf(args.filter ?? {});
          return keysetPage(args, {
            name: 'readAudit',
            key: readKey,
            keyOf: (it: ReadRecord): ReadKey => keyOfRead(it),
            find: (page) => records.list(wanted, page),
            count: () => records.count(wanted, MAX_COUNT),
          });
        },
      },
      {
        name: 'ReadAuditConnection',
        description: 'A page of reads.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'ReadAuditEdge', description: 'A read with its cursor.' },
    ),
  );
}

/** As it is sent: null is what is left out. */
type Sent = { readonly [Member in keyof ReadFilter]?: ReadFilter[Member] | null };

function wantedOf({ aggregateType, aggregateId, actorId, from, to }: Sent): ReadFilter {
  const named = aggregateId == null ? undefined : aggregateNamedBy(aggregateId);
  return {
    aggregateType: aggregateType ?? named?.type,
    aggregateId: named?.id ?? aggregateId ?? undefined,
    actorId: actorId == null ? undefined : (parseGlobalId(actorId)?.id ?? actorId),
    from: from ?? undefined,
    to: to ?? undefined,
  };
}
