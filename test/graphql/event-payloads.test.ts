import { GraphQLObjectType } from 'graphql';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { defineEvent, type EventDefinition } from '../../src/eventsourcing/event.ts';
import { addActor } from '../../src/graphql/actor.ts';
import { createBuilder } from '../../src/graphql/builder.ts';
import { addEventInterface, addEventType } from '../../src/graphql/events.ts';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { ANONYMOUS } from '../support/given.ts';

const stone = z.object({ weight: z.number().int() }).meta({ graphql: 'Stone' });
const described = (field: z.ZodType, meta: object = {}) => field.meta({ description: 'Something.', ...meta });
const definition = defineEvent({
  type: 'StonesMoved',
  schemaVersion: 1,
  description: 'Stones were moved.',
  data: z.object({
    stone: described(stone, { graphql: 'Stone' }),
    stones: described(z.array(stone)),
    words: described(z.array(z.string())),
    fromId: described(z.string(), { idOf: 'Quarry' }),
    intoId: described(z.string().nullable(), { idOf: 'Quarry' }),
    at: described(z.iso.datetime()),
    kind: described(z.enum(['BIG', 'SMALL'])),
    note: described(z.string().nullable()),
    since: described(z.number().int().optional()),
    extra: described(z.custom<object>(), { graphql: 'JSON' }),
    reason: described(z.string(), { audience: 'staff' }),
  }),
});

/** Made into a type, in a schema that has nothing else to say. */
function fieldsOf(event: EventDefinition) {
  const builder = createBuilder();
  builder.queryField('nothing', (t) => t.boolean({ audience: 'public', resolve: () => true }));
  builder.mutationField('nothing', (t) => t.boolean({ audience: 'public', resolve: () => true }));
  builder.subscriptionField('nothing', (t) =>
    t.boolean({ audience: 'public', subscribe: async function* () {}, resolve: () => true }),
  );
  const stoneType = builder.objectRef<z.output<typeof stone>>('Stone').implement({
    audience: 'public',
    fields: (t) => ({ weight: t.int({ resolve: (it) => it.weight }) }),
  });
  const interfaceRef = addEventInterface(builder, [event], addActor(builder));
  addEventType(builder, interfaceRef, { Stone: stoneType, JSON: 'JSON' }, event);
  // Some type must have an id.
  builder.node(builder.objectRef<{ id: string }>('Quarry'), {
    audience: 'public',
    id: { resolve: ({ id }) => id },
    isTypeOf: () => true,
  });
  const payload = builder.toSchema().getType(`${event.type}Payload`);
  return payload instanceof GraphQLObjectType ? payload.getFields() : {};
}

const fields = fieldsOf(definition);

describe('The payload of an event', () => {
  test('has the types that its schema says', () => {
    expect(Object.fromEntries(Object.entries(fields).map(([name, { type }]) => [name, String(type)]))).toEqual({
      stone: 'Stone!',
      stones: '[Stone!]!',
      words: '[String!]!',
      fromId: 'ID!',
      intoId: 'ID',
      at: 'DateTime!',
      kind: 'String!',
      note: 'String',
      since: 'Int',
      extra: 'JSON!',
      reason: 'String',
    });
  });

  test('shows ids as clients know them, and instants as such', () => {
    const show = (name: string, value: unknown) =>
      fields[name]?.resolve?.({ [name]: value }, {}, { actor: ANONYMOUS }, undefined as never);
    expect(show('fromId', 'q1')).toBe(encodeGlobalId('Quarry', 'q1'));
    expect(show('intoId', null)).toBeNull();
    expect(show('at', '2030-01-31T12:00:00.000Z')).toEqual(new Date('2030-01-31T12:00:00Z'));
    expect(show('stones', [{ weight: 3 }])).toEqual([{ weight: 3 }]);
    expect(show('kind', 'BIG')).toBe('BIG');
    expect(show('reason', 'secret')).toBeNull();
    expect(fields['since']?.resolve?.({}, {}, { actor: ANONYMOUS }, undefined as never)).toBeNull();
  });

  test('needs to be told of what else there is', () => {
    const odd = (data: z.ZodObject) => () => fieldsOf({ ...definition, type: 'Odd', data });
    expect(odd(z.object({ odd: z.object({}) }))).toThrow('No GraphQL type for a field of kind object');
    expect(odd(z.object({ odd: z.array(z.array(z.string())) }))).toThrow('A list in an event');
    expect(odd(z.object({ odd: z.array(z.string().nullable()) }))).toThrow('A list in an event');
  });
});
