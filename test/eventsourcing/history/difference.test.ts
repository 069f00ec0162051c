import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PersistentMap } from '../../../src/eventsourcing/commands/persistent-map.ts';
import { comparable, differences } from '../../../src/eventsourcing/history/difference.ts';
import type { Json } from '../../../src/eventsourcing/json.ts';
import { applied } from '../../support/apply-differences.ts';

const key = fc.oneof(
  fc.constantFrom('a', 'b', '', '/', '~', '~1', 'a/b', '0', '__proto__', 'constructor', 'toString'),
  fc.string({ maxLength: 3 }),
);
/** What deciders remember, and worse. */
const remembered = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constantFrom(null, undefined, true, false, '', 'x', 0, 1, -1, 1.5),
    fc.date({ noInvalidDate: true }),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(key, tie('value'), { maxKeys: 3 }),
    fc.array(fc.tuple(key, tie('value')), { maxLength: 3 }).map((it) => new Map(it)),
    fc
      .array(fc.tuple(key, tie('value')), { maxLength: 3 })
      .map((it) => it.reduce((map, [name, value]) => map.set(name, value), PersistentMap.empty<unknown>())),
    fc.array(key, { maxLength: 3 }).map((it) => new Set(it)),
  ),
})).value;

const between = (from: Json, to: Json) => [...differences(from, to)];

describe('What differs between two values', () => {
  test('applied to the one gives the other', () => {
    fc.assert(
      fc.property(remembered, remembered, (from, to) => {
        const [one, other] = [comparable(from), comparable(to)];
        expect(applied(one, between(one, other))).toEqual(other);
        expect(applied(other, between(other, one))).toEqual(one);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is nothing where they are the same, and never anything that is the same', () => {
    fc.assert(
      fc.property(remembered, remembered, (from, to) => {
        const [one, other] = [comparable(from), comparable(to)];
        expect(between(one, comparable(from))).toEqual([]);
        for (const { from: before, to: after } of between(one, other)) expect(before).not.toEqual(after);
      }),
      { numRuns: 1_000 },
    );
  });

  test('is told in the order of the paths, each once', () => {
    fc.assert(
      fc.property(remembered, remembered, (from, to) => {
        const paths = between(comparable(from), comparable(to)).map(({ path }) => path);
        expect(new Set(paths).size).toBe(paths.length);
      }),
    );
    expect(between({ b: 1, a: { d: 1, c: 1 } }, {}).map(({ path }) => path)).toEqual(['/a', '/b']);
  });

  test('is told field by field, by RFC 6901', () => {
    const from = comparable({ lines: new Map([['MUG', { quantity: 1, price: 250 }]]), coupon: null });
    const to = comparable({ lines: new Map([['MUG', { quantity: 3, price: 250 }]]), coupon: { code: 'TEN' } });
    expect(between(from, to)).toEqual([
      { path: '/coupon', from: null, to: { code: 'TEN' } },
      { path: '/lines/MUG/quantity', from: 1, to: 3 },
    ]);
    expect(between({ 'a/b': { '~': 1 } }, { 'a/b': { '~': 2 } })).toEqual([{ path: '/a~1b/~0', from: 1, to: 2 }]);
  });

  test('is the whole list where it became longer or shorter, and the item where it did not', () => {
    expect(between({ list: [1, 2] }, { list: [2] })).toEqual([{ path: '/list', from: [1, 2], to: [2] }]);
    expect(between({ list: [1, { a: 2 }] }, { list: [1, { a: 3 }] })).toEqual([{ path: '/list/1/a', from: 2, to: 3 }]);
  });

  test('names what comes and goes once, however much is in it', () => {
    const much = { a: { b: { c: [1, 2, 3] } } };
    expect(between({}, { much })).toEqual([{ path: '/much', from: null, to: much }]);
    expect(between(null, much)).toEqual([{ path: '', from: null, to: much }]);
  });

  test('takes nothing for a member that every object has', () => {
    expect(between({}, JSON.parse('{"constructor":{"a":1},"__proto__":{"a":1}}'))).toHaveLength(2);
  });
});

describe('What is compared', () => {
  test('is JSON: maps by their keys, sets by what they hold, instants as text', () => {
    expect(
      comparable({
        map: new Map([['x', 1]]),
        trie: PersistentMap.empty<number>().set('y', 2),
        set: new Set(['z']),
        at: new Date('2030-01-31T12:00:00Z'),
        nothing: undefined,
        none: null,
        list: [null, undefined, 1],
      }),
    ).toEqual({
      map: { x: 1 },
      trie: { y: 2 },
      set: { z: true },
      at: '2030-01-31T12:00:00.000Z',
      list: [null, null, 1],
    });
  });

  test.each([undefined, null, () => 1, Symbol('x'), new Date(Number.NaN)])('is null for what is nothing', (value) =>
    expect(comparable(value)).toBeNull(),
  );

  test('says numbers that are none in words', () => {
    expect(comparable([Number.NaN, Number.POSITIVE_INFINITY, 10n])).toEqual(['NaN', 'Infinity', '10']);
  });
});
