import { randomUUID } from 'node:crypto';
import { type ExecutionResult, type GraphQLSchema, graphql, parse, subscribe } from 'graphql';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import type { Context } from '../../src/contexts/context.ts';
import { contexts } from '../../src/contexts/index.ts';
import { operationsContext } from '../../src/contexts/operations/index.ts';
import type { Actor } from '../../src/eventsourcing/actor.ts';
import { type Aggregate, defineCommand } from '../../src/eventsourcing/commands/aggregate.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import { defineEvent } from '../../src/eventsourcing/log/event.ts';
import type { ProcessManager } from '../../src/eventsourcing/processes/process-manager.ts';
import type { RequestContext } from '../../src/graphql/context.ts';
import { encodeGlobalId } from '../../src/graphql/global-id.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createSchema } from '../../src/server/schema.ts';
import { customer, STAFF } from '../support/given.ts';
import { testMasterKey } from '../support/master-key.ts';
import { silentAudit } from '../support/read-audits.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { within } from '../support/within.ts';

const MIA = customer('mia');
const MAX = customer('max');

/** A lamp that can be switched on, unless its fuse is blown: then the decision breaks. */
const blown = new Set<string>();
const switchedOn = defineEvent({
  type: 'LampSwitchedOn',
  schemaVersion: 1,
  description: 'There is light.',
  data: z.object({ lampId: z.string() }),
});
const switchOn = defineCommand({
  name: 'SwitchOn',
  description: 'Makes light.',
  audience: 'public',
  input: z.object({ lampId: z.string() }),
  aggregateId: ({ lampId }) => lampId,
});
const lamp: Aggregate = {
  type: 'lamp',
  commands: [switchOn],
  events: [switchedOn],
  decider: {
    initialState: undefined,
    decide({ data }) {
      const { lampId } = switchOn.input.parse(data);
      if (blown.has(lampId)) throw new Error(`The fuse of ${lampId} is blown.`);
      return [{ type: 'LampSwitchedOn', data: { lampId } }];
    },
    evolve: (state) => state,
  },
};
const noted = defineEvent({
  type: 'LightNoted',
  schemaVersion: 1,
  description: 'The light was seen.',
  data: z.object({ lampId: z.string() }),
});
/** Notes every lamp that is on. */
const watchman: ProcessManager = {
  name: 'watchman',
  description: 'Notes every lamp that is on.',
  events: [noted],
  eventTypes: ['LampSwitchedOn'],
  instanceOf: ({ aggregateId }) => aggregateId,
  messageOf: ({ aggregateId }) => aggregateId,
  initialState: undefined,
  decide: (_input, _state, { instanceId }) => [{ type: 'LightNoted', data: { lampId: instanceId } }],
  evolve: (state) => state,
  effectsOf: () => [],
  view: () => ({ step: 'note', stepStatus: 'DONE', detail: 'It is on.', status: 'COMPLETED' }),
};
const lamps: Context = { name: 'lamps', aggregates: [lamp], projections: [], declareSchema: () => {} };

const ROW = '{ commandId status attempts actor { kind id } input rejection error events { type } finishedAt }';

describeEachStore('Operators', (kind) => {
  let store: TestStore;
  let database: Database;
  let engine: Engine;
  let schema: GraphQLSchema;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
    schema = createSchema([...contexts, lamps]);
    engine = await Engine.start({
      database,
      masterKey: testMasterKey,
      aggregates: [lamp, ...operationsContext.aggregates],
      projections: [],
      processes: [watchman],
      clock: systemClock,
      ids: randomIds,
      logger: createLogger('silent'),
      commandRetries: { maxAttempts: 1, firstPauseMs: 1, longestPauseMs: 1 },
    });
  });
  afterAll(async () => {
    await engine.stop();
    await database.close();
    await store.remove();
  });

  const contextOf = (actor: Actor): RequestContext => ({
    actor,
    engine,
    ids: randomIds,
    readAudit: silentAudit(database),
    readWaitMs: 20_000,
    defaultCurrency: 'GBP',
    correlationId: undefined,
  });

  async function ask(actor: Actor, source: string, variables: Record<string, unknown> = {}): Promise<ExecutionResult> {
    return graphql({ schema, source, contextValue: contextOf(actor), variableValues: variables });
  }

  /** The one field that was asked for. */
  async function get(actor: Actor, source: string, variables: Record<string, unknown> = {}) {
    const { data, errors } = await ask(actor, source, variables);
    if (errors !== undefined) throw errors[0];
    return Object.values(data ?? {})[0];
  }

  const faultOf = async (actor: Actor, source: string) => (await ask(actor, source)).errors?.[0]?.extensions['code'];

  async function queue(lampId: string, actor: Actor, dueAt?: Date): Promise<string> {
    const commandId = randomUUID();
    const data = { lampId };
    await engine.executor.enqueue({ commandId, name: 'SwitchOn', data, actor, correlationId: commandId }, { dueAt });
    return commandId;
  }

  /** Queues commands for a lamp whose fuse is blown, until the first of them has failed. */
  async function fail(lampId: string, count: number): Promise<string[]> {
    blown.add(lampId);
    const ids: string[] = [];
    for (let i = 0; i < count; i += 1) ids.push(await queue(lampId, MIA));
    const failed = await engine.commandWatch.finished(ids[0] ?? '', 20_000);
    expect(failed?.status).toBe('FAILED');
    return ids;
  }

  const inAnHour = () => new Date(Date.now() + 3_600_000);

  async function follow(actor: Actor, commandId: string) {
    const document = parse(`subscription { commandChanged(commandId: "${commandId}") { status attempts } }`);
    return subscribe({ schema, document, contextValue: contextOf(actor) });
  }

  it('and whoever sent a command follow it; to others it is not there', async () => {
    const commandId = await queue('a', MIA, inAnHour());
    const query = `query($id: ID!) { command(commandId: $id) ${ROW} }`;
    const shown = {
      commandId,
      status: 'QUEUED',
      attempts: 0,
      actor: { kind: 'CUSTOMER', id: 'mia' },
      input: { lampId: 'a' },
      rejection: null,
      error: null,
      events: [],
      finishedAt: null,
    };
    expect(await get(MIA, query, { id: commandId })).toEqual(shown);
    expect(await get(STAFF, query, { id: commandId.toUpperCase() })).toEqual(shown);
    expect(await get(MAX, query, { id: commandId })).toBeNull();
    expect(await get(STAFF, query, { id: 'garbage' })).toBeNull();

    const node = `query($id: ID!) { node(id: $id) { __typename id ... on Command { commandId } } }`;
    const id = encodeGlobalId('Command', commandId);
    expect(await get(MIA, node, { id })).toEqual({ __typename: 'Command', id, commandId });
    expect(await get(MAX, node, { id })).toBeNull();
    expect(await faultOf(MIA, `{ commands { nodes { name } } }`)).toBe('FORBIDDEN');
  });

  it('show what a command did', async () => {
    const commandId = await queue('did', MIA);
    await engine.commandWatch.finished(commandId, 20_000);
    expect(await get(MIA, `{ command(commandId: "${commandId}") { status events { type aggregateId } } }`)).toEqual({
      status: 'SUCCEEDED',
      events: [{ type: 'LampSwitchedOn', aggregateId: 'did' }],
    });
  });

  it('and whoever sent it take a command back, once', async () => {
    const commandId = await queue('b', MIA, inAnHour());
    const changes = await follow(MIA, commandId);
    if (!(Symbol.asyncIterator in changes)) throw new Error('It is not watched.');
    expect((await changes.next()).value?.data).toEqual({ commandChanged: { status: 'QUEUED', attempts: 0 } });
    expect(await follow(MAX, commandId)).toMatchObject({ errors: [{ extensions: { code: 'NOT_FOUND' } }] });

    const cancel = `mutation($id: ID, $target: ID!) {
      cancelCommand(input: { commandId: $id, target: $target }) {
        __typename ... on CommandPayload { command { status } receipt { replayed } }
        ... on NotFound { id } ... on IllegalState { state } ... on ValidationFailed { fields { path } }
      }
    }`;
    expect(await get(MAX, cancel, { target: commandId })).toEqual({ __typename: 'NotFound', id: commandId });
    const id = randomUUID();
    const cancelled = { __typename: 'CommandPayload', command: { status: 'CANCELLED' } };
    expect(await get(MIA, cancel, { id, target: commandId })).toEqual({ ...cancelled, receipt: { replayed: false } });
    expect(await get(MIA, cancel, { id, target: commandId })).toEqual({ ...cancelled, receipt: { replayed: true } });
    expect(await get(STAFF, cancel, { target: commandId })).toEqual({ __typename: 'IllegalState', state: 'CANCELLED' });
    expect(await get(MIA, cancel, { target: 'garbage' })).toEqual({
      __typename: 'ValidationFailed',
      fields: [{ path: ['target'] }],
    });
    expect((await within(20_000, 'the change', changes.next())).value?.data).toEqual({
      commandChanged: { status: 'CANCELLED', attempts: 0 },
    });
    expect(await within(20_000, 'the end', changes.next())).toMatchObject({ done: true });
    expect(engine.commandWatch.watched).toEqual({ commands: 0, watchers: 0 });
  });

  it('take a command back only once where several do at the same moment', async () => {
    const commandId = await queue('c', MIA, inAnHour());
    const cancel = `mutation { cancelCommand(input: { target: "${commandId}" }) { __typename } }`;
    const answers = await Promise.all(Array.from({ length: 5 }, () => get(STAFF, cancel)));
    expect(answers.map((it) => JSON.stringify(it)).sort()).toEqual([
      '{"__typename":"CommandPayload"}',
      ...Array(4).fill('{"__typename":"IllegalState"}'),
    ]);
  });

  it('find what failed with what waits behind it, and have it tried again', async () => {
    const [first = '', second = '', third = ''] = await fail('d', 3);
    const query = `{ deadLetters(source: "command") {
      totalCount nodes { id source subject payload error attempts status waitingBehind } } }`;
    expect(await get(STAFF, query)).toEqual({
      totalCount: 1,
      nodes: [
        {
          id: expect.any(String),
          source: 'command',
          subject: first,
          payload: { command: 'SwitchOn', input: { lampId: 'd' } },
          error: 'The fuse of d is blown.',
          attempts: 1,
          status: 'OPEN',
          waitingBehind: 2,
        },
      ],
    });
    const error = `query($id: ID!) { command(commandId: $id) { error } }`;
    expect(await get(MIA, error, { id: first })).toEqual({ error: 'Something broke inside.' });
    expect(await get(STAFF, error, { id: first })).toEqual({ error: 'The fuse of d is blown.' });

    const { nodes } = z.object({ nodes: z.array(z.object({ id: z.string() })) }).parse(await get(STAFF, query));
    const id = nodes[0]?.id;
    const node = `query($id: ID!) { node(id: $id) { ... on DeadLetter { status droppedReason waitingBehind } } }`;
    expect(await get(MIA, node, { id })).toBeNull();
    expect(await faultOf(MIA, query)).toBe('FORBIDDEN');
    const retry = `mutation($id: ID!) { retryDeadLetter(input: { deadLetterId: $id }) {
      __typename ... on DeadLetterPayload { deadLetter { id status } } ... on IllegalState { state }
      ... on NotFound { id } ... on ValidationFailed { fields { path } } } }`;
    expect(await get(MIA, retry, { id })).toEqual({ __typename: 'Forbidden' });
    blown.delete('d');
    expect(await get(STAFF, retry, { id })).toEqual({
      __typename: 'DeadLetterPayload',
      deadLetter: { id, status: 'RETRIED' },
    });
    for (const commandId of [first, second, third]) {
      expect(await engine.commandWatch.finished(commandId, 20_000)).toMatchObject({ status: 'SUCCEEDED' });
    }
    expect(await get(STAFF, query)).toEqual({ totalCount: 0, nodes: [] });
    expect(await get(STAFF, node, { id })).toEqual({ status: 'RETRIED', droppedReason: null, waitingBehind: 0 });
    expect(await get(STAFF, retry, { id })).toEqual({ __typename: 'IllegalState', state: 'RETRIED' });
    const unknown = encodeGlobalId('DeadLetter', randomUUID());
    expect(await get(STAFF, retry, { id: unknown })).toEqual({ __typename: 'NotFound', id: unknown });
    expect(await get(STAFF, retry, { id: encodeGlobalId('Command', first) })).toEqual({
      __typename: 'ValidationFailed',
      fields: [{ path: ['deadLetterId'] }],
    });
  });

  it('have something tried again that failed before, and drop it in the end', async () => {
    const [first = '', second = ''] = await fail('e', 2);
    const [letter] = await engine.deadLetters.list({ source: 'command' }, { limit: 1, inverted: false });
    const id = encodeGlobalId('DeadLetter', letter?.id ?? '');
    const retry = `mutation { retryDeadLetter(input: { deadLetterId: "${id}" }) { __typename } }`;
    expect(await get(STAFF, retry)).toEqual({ __typename: 'DeadLetterPayload' });
    await engine.commandWatch.finished(first, 20_000);
    expect((await engine.deadLetters.find([letter?.id ?? ''])).get(letter?.id ?? '')).toMatchObject({ status: 'OPEN' });
    expect(await get(STAFF, retry)).toEqual({ __typename: 'DeadLetterPayload' });
    await engine.commandWatch.finished(first, 20_000);

    const drop = `mutation($reason: String!) { dropDeadLetter(input: { deadLetterId: "${id}", reason: $reason }) {
      __typename ... on DeadLetterPayload { deadLetter { status droppedReason } } } }`;
    expect(await get(STAFF, drop, { reason: ' ' })).toEqual({ __typename: 'ValidationFailed' });
    blown.delete('e');
    expect(await get(STAFF, drop, { reason: 'Nobody needs light.' })).toEqual({
      __typename: 'DeadLetterPayload',
      deadLetter: { status: 'DROPPED', droppedReason: 'Nobody needs light.' },
    });
    expect(await engine.commandWatch.finished(second, 20_000)).toMatchObject({ status: 'SUCCEEDED' });
    expect(await engine.commandWatch.finished(first, 20_000)).toMatchObject({ status: 'FAILED' });
  });

  it('have everything of a source tried again, and are told the same number again', async () => {
    const failed = [...(await fail('f', 1)), ...(await fail('g', 1)), ...(await fail('h', 1))];
    for (const lampId of ['f', 'g', 'h']) blown.delete(lampId);
    const retry = `mutation($id: ID, $source: String!) { retryDeadLetters(input: { commandId: $id, source: $source }) {
      __typename ... on DeadLettersPayload { count receipt { replayed } } } }`;
    const id = randomUUID();
    const payload = { __typename: 'DeadLettersPayload', count: 3 };
    expect(await get(STAFF, retry, { id, source: 'command' })).toEqual({ ...payload, receipt: { replayed: false } });
    for (const commandId of failed) {
      expect(await engine.commandWatch.finished(commandId, 20_000)).toMatchObject({ status: 'SUCCEEDED' });
    }
    expect(await get(STAFF, retry, { id, source: 'command' })).toEqual({ ...payload, receipt: { replayed: true } });
    expect(await get(STAFF, retry, { source: 'command' })).toMatchObject({ count: 0 });
    expect(await get(STAFF, retry, { source: 'projection:none' })).toEqual({ __typename: 'NotFound' });
    expect(await get(MIA, retry, { source: 'command' })).toEqual({ __typename: 'Forbidden' });
  });

  it('have the same tried again once, where one asks for it and another for all at the same moment', async () => {
    const [commandId = ''] = await fail('k', 1);
    blown.delete('k');
    const [letter] = await engine.deadLetters.list({ source: 'command' }, { limit: 1, inverted: false });
    const id = encodeGlobalId('DeadLetter', letter?.id ?? '');
    const one = `mutation { retryDeadLetter(input: { deadLetterId: "${id}" }) { __typename } }`;
    const all = 'mutation { retryDeadLetters(input: { source: "command" }) { ... on DeadLettersPayload { count } } }';
    const answers = await Promise.all([get(STAFF, one), get(STAFF, all)]);
    expect([
      [{ __typename: 'DeadLetterPayload' }, { count: 0 }],
      [{ __typename: 'IllegalState' }, { count: 1 }],
    ]).toContainEqual(answers);
    expect(await engine.commandWatch.finished(commandId, 20_000)).toMatchObject({ status: 'SUCCEEDED' });
  });

  it('look through all commands, page by page', async () => {
    const sent: string[] = [];
    for (let i = 0; i < 5; i += 1) sent.push(await queue('i', MIA, inAnHour()));
    const page = `query($filter: CommandFilter, $first: Int, $after: String, $last: Int, $before: String) {
      commands(filter: $filter, first: $first, after: $after, last: $last, before: $before) {
        totalCount nodes { commandId } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
    const read = async (variables: Record<string, unknown>) => {
      const connection = connectionOf.parse(await get(STAFF, page, { filter: { aggregateId: 'i' }, ...variables }));
      return { ...connection, ids: connection.nodes.map(({ commandId }) => commandId) };
    };
    const all = await read({});
    expect([...all.ids].sort()).toEqual([...sent].sort());
    expect(all.totalCount).toBe(5);
    const first = await read({ first: 2 });
    expect(first).toMatchObject({ ids: all.ids.slice(0, 2), pageInfo: { hasNextPage: true, hasPreviousPage: false } });
    const rest = await read({ first: 10, after: first.pageInfo.endCursor });
    expect(rest).toMatchObject({ ids: all.ids.slice(2), pageInfo: { hasNextPage: false, hasPreviousPage: true } });
    const back = await read({ last: 1, before: rest.pageInfo.startCursor });
    expect(back).toMatchObject({ ids: all.ids.slice(1, 2), pageInfo: { hasNextPage: true, hasPreviousPage: true } });
    expect((await read({ filter: { status: ['QUEUED'], name: ['SwitchOn'], aggregateId: 'i' } })).ids).toEqual(all.ids);
    expect((await read({ filter: { correlationId: sent[0] } })).ids).toEqual([sent[0]]);
    expect((await read({ filter: { correlationId: 'garbage' } })).ids).toEqual([]);
    expect((await read({ filter: { aggregateId: 'i', to: '0000-01-01T00:00:00Z' } })).ids).toEqual([]);

    const ofAnotherList = Buffer.from(JSON.stringify(['deadLetters', new Date(), randomUUID()])).toString('base64url');
    for (const wrong of ['first: -1', 'after: "garbage"', `after: "${ofAnotherList}"`]) {
      expect(await faultOf(STAFF, `{ commands(${wrong}) { totalCount } }`)).toBe('BAD_USER_INPUT');
    }
  });

  it('see processes at work', async () => {
    const commandId = await queue('j', MIA);
    await engine.commandWatch.finished(commandId, 20_000);
    const seen = `query($status: [String!]) { processes(correlationId: "${commandId}", status: $status) {
      totalCount nodes { id process status correlationId steps { name status detail } } } }`;
    await expect
      .poll(() => get(STAFF, seen), { timeout: 20_000 })
      .toEqual({
        totalCount: 1,
        nodes: [
          {
            id: encodeGlobalId('ProcessInstance', 'watchman-j'),
            process: 'watchman',
            status: 'COMPLETED',
            correlationId: commandId,
            steps: [{ name: 'note', status: 'DONE', detail: 'It is on.' }],
          },
        ],
      });
    expect(await get(STAFF, seen, { status: ['RUNNING', 'COMPLETED'] })).toMatchObject({ totalCount: 1 });
    expect(await get(STAFF, seen, { status: ['RUNNING'] })).toMatchObject({ totalCount: 0, nodes: [] });
    expect(await faultOf(STAFF, '{ processes(status: ["DONE"]) { totalCount } }')).toBe('BAD_USER_INPUT');
    expect(await faultOf(MIA, '{ processes { totalCount } }')).toBe('FORBIDDEN');
    const node = `query($id: ID!) { node(id: $id) { ... on ProcessInstance { process } } }`;
    const id = encodeGlobalId('ProcessInstance', 'watchman-j');
    expect(await get(STAFF, node, { id })).toEqual({ process: 'watchman' });
    expect(await get(MIA, node, { id })).toBeNull();
  });
});

const connectionOf = z.object({
  totalCount: z.number().nullable(),
  nodes: z.array(z.object({ commandId: z.string() })),
  pageInfo: z.object({
    hasNextPage: z.boolean(),
    hasPreviousPage: z.boolean(),
    startCursor: z.string().nullable(),
    endCursor: z.string().nullable(),
  }),
});
