import type { GraphQLResolveInfo } from 'graphql';
import { expect, test } from 'vitest';
import type { Read } from '../../src/eventsourcing/reads/read-audit.ts';
import type { RequestContext } from '../../src/graphql/context.ts';
import { readsOf } from '../../src/graphql/operation-reads.ts';
import { randomIds } from '../../src/platform/ids.ts';

/** An operation whose reads are kept here. */
function operation() {
  const recorded: Read[] = [];
  const context = {
    actor: { kind: 'STAFF', id: 'anna' },
    ids: randomIds,
    correlationId: undefined,
    readAudit: { record: (read: Read) => recorded.push(read) },
  } as unknown as RequestContext;
  return { recorded, context };
}

/** A field at the root, by the name that it has in the answer, or one within it. */
function at(alias: string, within = false): GraphQLResolveInfo {
  const root = { prev: undefined, key: alias, typename: 'Query' };
  return {
    fieldName: within ? 'customer' : 'orders',
    parentType: { name: within ? 'Order' : 'Query' },
    operation: { name: { value: 'All' } },
    path: within ? { prev: root, key: 'customer', typename: 'Order' } : root,
  } as unknown as GraphQLResolveInfo;
}

const order = (id: number) => ({ type: 'order', id: `${id}` });

test('What lies deep within is recorded with the field at the root, whatever that is called in the answer', () => {
  const { context, recorded } = operation();
  const reads = readsOf(context, at('mine'));
  reads.begin(at('mine'));
  reads.record(at('mine', true), 'SHOWN', { type: 'customer', id: 'ada' });
  expect(recorded).toMatchObject([{ field: 'Query.orders', operation: 'All', aggregate: { id: 'ada' } }]);
});

test('The same is recorded once for an operation, under one correlation; another operation has its own', () => {
  const [one, other] = [operation(), operation()];
  for (const { context } of [one, one, other]) {
    for (const id of [1, 2]) readsOf(context, at('mine')).record(at('mine'), 'SHOWN', order(id));
  }
  expect(one.recorded.map(({ aggregate }) => aggregate?.id)).toEqual(['1', '2']);
  expect(new Set([...one.recorded, ...other.recorded].map(({ correlationId }) => correlationId)).size).toBe(2);
});

test('Of very much, a thousand are recorded, and that there was more', () => {
  const { context, recorded } = operation();
  const reads = readsOf(context, at('mine'));
  for (let id = 0; id < 1_500; id += 1) reads.record(at('mine'), 'SHOWN', order(id));
  expect(recorded).toHaveLength(1_001);
  expect(recorded[999]).toMatchObject({ outcome: 'SHOWN', aggregate: order(999) });
  expect(recorded[1_000]).toMatchObject({ outcome: 'MORE', aggregate: null });
});
