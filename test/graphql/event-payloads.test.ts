import { GraphQLObjectType, graphql } from 'graphql';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Actor, SYSTEM } from '../../src/eventsourcing/actor.ts';
import { defineEvent, type EventDefinition, type RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { addActor } from '../../src/graphql/actor.ts';
import { createBuilder } from '../../src/graphql/builder.ts';
import { addEventInterface, addEventType, addUnknownEvent } from '../../src/graphql/events.ts';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { ANONYMOUS, STAFF } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';

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

describe('An event that this server cannot read', () => {
  const moved = defineEvent({
    type: 'StonesMoved',
    schemaVersion: 1,
    description: 'Stones were moved.',
    data: z.object({ words: described(z.array(z.string())) }),
  });
  const [known] = recorded('quarry', 'q', [{ type: 'StonesMoved', data: { words: ['heave'] } }]);
  const [other] = recorded('quarry', 'q', [{ type: 'StonesBurnt', data: { fuel: 'coal' } }]);
  if (known === undefined || other === undefined) throw new Error('There are no events.');
  const events: readonly RecordedEvent[] = [
    known,
    { ...known, schemaVersion: 9, data: { stones: 3 }, unreadable: 'It is newer.' },
    { ...other, unreadable: 'It is not known.' },
  ];

  async function shownTo(actor: Actor): Promise<unknown> {
    const builder = createBuilder();
    const event = addEventInterface(builder, [moved], addActor(builder));
    addUnknownEvent(builder, event);
    addEventType(builder, event, {}, moved);
    builder.queryField('events', (t) => t.field({ type: [event], audience: 'public', resolve: () => [...events] }));
    builder.mutationField('nothing', (t) => t.boolean({ audience: 'public', resolve: () => true }));
    builder.subscriptionField('nothing', (t) =>
      t.boolean({ audience: 'public', subscribe: async function* () {}, resolve: () => true }),
    );
    builder.node(builder.objectRef<{ id: string }>('Quarry'), {
      audience: 'public',
      id: { resolve: ({ id }) => id },
      isTypeOf: () => true,
    });
    const { data, errors } = await graphql({
      schema: builder.toSchema(),
      source: `{ events {
        __typename type schemaVersion data
        ... on StonesMoved { payload { words } }
        ... on UnknownEvent { reason }
      } }`,
      contextValue: { actor },
    });
    expect(errors).toBeUndefined();
    return data?.['events'];
  }

  test('is shown as one of a type of its own, beside those that it can read', async () => {
    const shown = [
      {
        __typename: 'StonesMoved',
        type: 'StonesMoved',
        schemaVersion: 1,
        data: { words: ['heave'] },
        payload: { words: ['heave'] },
      },
      {
        __typename: 'UnknownEvent',
        type: 'StonesMoved',
        schemaVersion: 9,
        data: { stones: 3 },
        reason: 'It is newer.',
      },
      {
        __typename: 'UnknownEvent',
        type: 'StonesBurnt',
        schemaVersion: 1,
        data: { fuel: 'coal' },
        reason: 'It is not known.',
      },
    ];
    expect(await shownTo(STAFF)).toEqual(shown);
    expect(await shownTo(SYSTEM)).toEqual(shown);
  });

  test('tells its data to staff alone: which of it is for others, nobody here knows', async () => {
    expect(await shownTo(ANONYMOUS)).toMatchObject([{ data: { words: ['heave'] } }, { data: {} }, { data: {} }]);
  });
});
