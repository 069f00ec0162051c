import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  buildSchema,
  findBreakingChanges,
  type GraphQLNamedType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isNonNullType,
  isObjectType,
  isSpecifiedScalarType,
  isUnionType,
  lexicographicSortSchema,
  printSchema,
} from 'graphql';
import { describe, expect, test } from 'vitest';
import type { Context } from '../../src/contexts/context.ts';
import { contexts } from '../../src/contexts/index.ts';
import { AUDIENCES } from '../../src/eventsourcing/actor.ts';
import { processEvents } from '../../src/processes/index.ts';
import { createSchema } from '../../src/server/schema.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const contractFolder = join(root, 'test', 'golden', 'contract');
const committed = readFileSync(join(root, 'schema.graphql'), 'utf8');
const schema = createSchema(contexts);
const types = Object.values(schema.getTypeMap()).filter((type) => !isIntrospectionType(type));
const aggregates = contexts.flatMap((context) => context.aggregates);
const commands = aggregates.flatMap((aggregate) => aggregate.commands);

/** Every field of the types that clients get things from. */
const outputFields = types
  .filter((type) => isObjectType(type) || isInterfaceType(type))
  .flatMap((type) => Object.values(type.getFields()).map((field) => ({ name: `${type.name}.${field.name}`, field })));

test('schema.graphql is what the code makes', () => {
  expect(`${printSchema(lexicographicSortSchema(schema))}\n`).toBe(committed);
});

test('Nothing that clients were promised was taken away or tightened', () => {
  const parts = readdirSync(contractFolder)
    .sort()
    .map((file) => readFileSync(join(contractFolder, file), 'utf8'));
  expect(findBreakingChanges(buildSchema(parts.join('\n')), buildSchema(committed))).toEqual([]);
});

/** What operators do with the store as a whole: the log does not know of it. */
const NO_COMMANDS = ['archive', 'copyStore', 'resumeStore'];

describe('Every', () => {
  test('type, field, argument, enum value and input field is described', () => {
    const undescribed = types.flatMap((type) => (isSpecifiedScalarType(type) ? [] : withoutDescription(type)));
    expect(undescribed).toEqual([]);
  });

  test('field has decided who it is for', () => {
    const audiences: readonly unknown[] = AUDIENCES;
    const undecided = outputFields.filter(({ field }) => !audiences.includes(field.extensions['audience']));
    expect(undecided.map(({ name }) => name)).toEqual([]);
    expect(outputFields.length).toBeGreaterThan(100);
  });

  test('command has decided who it is for', () => {
    expect(commands.filter(({ audience }) => !AUDIENCES.includes(audience))).toEqual([]);
    expect(commands.length).toBeGreaterThan(8);
  });

  test('mutation is for those whom its command is for', () => {
    const mutations = Object.entries(schema.getMutationType()?.getFields() ?? {});
    const wrong = mutations.filter(([name, field]) => {
      const command = commands.find((it) => it.name.toLowerCase() === name.toLowerCase());
      return command === undefined || command.audience !== field.extensions['audience'];
    });
    expect(wrong.map(([name]) => name).sort()).toEqual(NO_COMMANDS);
  });

  test('field that is not for everyone may be null, or is asked for by a caller who is told no', () => {
    const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()].map((it) => it?.name);
    const hidden = outputFields.filter(
      ({ name, field }) =>
        !['public', 'owner'].includes(String(field.extensions['audience'])) && !roots.includes(name.split('.')[0]),
    );
    expect(hidden.filter(({ field }) => isNonNullType(field.type)).map(({ name }) => name)).toEqual([]);
    expect(hidden.map(({ name }) => name)).toContain('StockAdjustedPayload.reason');
  });

  test('change of something that is not public belongs to its owner or to staff', () => {
    const open = commands.filter(({ audience }) => audience === 'public').map(({ name }) => name);
    expect(open).toEqual(['CreateCart']);
  });

  test('result is a success, CommandAccepted, or a rejection', () => {
    const rejection = schema.getType('Rejection');
    const members = Object.values(schema.getMutationType()?.getFields() ?? {}).flatMap(({ type }) => {
      const union = getNamedType(type);
      return isUnionType(union) ? union.getTypes() : [];
    });
    const others = members.filter((type) => !type.getInterfaces().some((it) => it === rejection));
    expect(new Set(others.map(({ name }) => name))).toEqual(
      new Set([
        'CartPayload',
        'CouponPayload',
        'OrderPayload',
        'ShipmentPayload',
        'ProductPayload',
        'CommandPayload',
        'CustomerPayload',
        'DeadLetterPayload',
        'DeadLettersPayload',
        'ProjectionPayload',
        'CommandAccepted',
      ]),
    );
  });

  test('mutation takes a commandId, and an expectedVersion unless it begins something or is for operators', () => {
    for (const [name, { args }] of Object.entries(schema.getMutationType()?.getFields() ?? {})) {
      if (NO_COMMANDS.includes(name)) continue;
      const input = getNamedType(args[0]?.type);
      const fields = isInputObjectType(input) ? Object.keys(input.getFields()) : [];
      expect(fields, name).toContain('commandId');
      if (
        !/^(add|create)(Product|Cart|Coupon)$|Command$|DeadLetters?$|^rebuildProjection$|^cancelRebuild$|^(advanceShipment|forgetCustomer)$/.test(
          name,
        )
      )
        expect(fields, name).toContain('expectedVersion');
    }
  });
});

describe('The audit of reads', () => {
  const isAudited = (type: GraphQLNamedType) => type.extensions['isAudited'] === true;

  /**
   * The fields that are not for everybody and can be read without what they belong to being recorded: nothing on the way
   * to them from the root is an aggregate, or says in its arguments which one is read.
   */
  function unrecorded(of: GraphQLSchema): string[] {
    const seen = new Set<GraphQLNamedType>();
    const found: string[] = [];
    const walk = (type: GraphQLNamedType) => {
      if (seen.has(type) || isAudited(type)) return;
      seen.add(type);
      if (isUnionType(type)) type.getTypes().forEach(walk);
      if (!isObjectType(type) && !isInterfaceType(type)) return;
      for (const field of Object.values(type.getFields())) {
        if (field.extensions['audience'] !== 'public') found.push(`${type.name}.${field.name}`);
        walk(getNamedType(field.type));
      }
    };
    for (const root of [of.getQueryType(), of.getSubscriptionType()]) {
      for (const field of Object.values(root?.getFields() ?? {})) {
        if (field.extensions['namesAggregate'] !== true) walk(getNamedType(field.type));
      }
    }
    return found;
  }

  test('misses nothing that is not for everybody, whichever way a schema leads to it', () => {
    expect(unrecorded(schema)).toEqual([]);
  });

  test('knows every type that has an id, and the few that have a name', () => {
    const node = schema.getType('Node');
    if (!isInterfaceType(node)) throw new Error('Node is no interface.');
    const nodes = schema.getPossibleTypes(node);
    expect(nodes.filter((type) => !isAudited(type)).map(({ name }) => name)).toEqual([]);
    const others = types.filter((type) => isAudited(type) && !nodes.some((it) => it === type));
    expect(others.map(({ name }) => name).sort()).toEqual(['Coupon', 'Event', 'Projection']);
  });

  test('would miss a new type that has neither: so this suite would say so', () => {
    const diary: Context = {
      name: 'diary',
      aggregates: [],
      projections: [],
      declareSchema({ builder }) {
        const entry = builder.objectRef<{ readonly secret: string }>('DiaryEntry').implement({
          audience: 'owner',
          fields: (t) => ({ secret: t.string({ resolve: (it) => it.secret }) }),
        });
        builder.queryField('diary', (t) =>
          t.field({ type: [entry], audience: 'staff', resolve: () => [{ secret: '' }] }),
        );
      },
    };
    expect(unrecorded(createSchema([...contexts, diary]))).toEqual(['DiaryEntry.secret']);
  });
});

describe('Every event type', () => {
  const definitions = [...aggregates.flatMap((aggregate) => aggregate.events), ...processEvents];

  test.each(definitions)('$type is an object type with a typed payload', ({ type, data }) => {
    const object = schema.getType(type);
    if (!isObjectType(object)) throw new Error(`${type} is no object type.`);
    expect(object.getInterfaces().map(({ name }) => name)).toEqual(['Event']);
    const payload = object.getFields()['payload'];
    expect(payload && isNonNullType(payload.type)).toBe(true);
    const payloadType = payload && getNamedType(payload.type);
    if (!isObjectType(payloadType)) throw new Error(`The payload of ${type} is no object type.`);
    expect(Object.keys(payloadType.getFields()).sort()).toEqual(Object.keys(data.shape).sort());
  });

  test('has a name of its own', () => {
    const names = definitions.map(({ type }) => type);
    expect(new Set(names).size).toBe(names.length);
  });

  test('is one of the possible types of Event, and there are no others', () => {
    const event = schema.getType('Event');
    if (!isInterfaceType(event)) throw new Error('Event is no interface.');
    const possible = schema.getPossibleTypes(event).map(({ name }) => name);
    expect(possible.sort()).toEqual([...definitions.map(({ type }) => type), 'UnknownEvent'].sort());
  });
});

/** What of a type has no description, by name. */
function withoutDescription(type: GraphQLNamedType): string[] {
  const missing = (name: string, { description }: { description?: string | null | undefined }) =>
    (description ?? '').trim() === '' ? [name] : [];
  const own = missing(type.name, type);
  if (isEnumType(type)) return [...own, ...type.getValues().flatMap((it) => missing(`${type.name}.${it.name}`, it))];
  if (isInputObjectType(type)) {
    return [...own, ...Object.values(type.getFields()).flatMap((it) => missing(`${type.name}.${it.name}`, it))];
  }
  if (!isObjectType(type) && !isInterfaceType(type)) return own;
  const fields = Object.values(type.getFields()).flatMap((field) => [
    ...missing(`${type.name}.${field.name}`, field),
    ...field.args.flatMap((arg) => missing(`${type.name}.${field.name}(${arg.name})`, arg)),
  ]);
  return [...own, ...fields];
}
