import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { PersistentMap } from '../../../src/eventsourcing/commands/persistent-map.ts';

/** Words with the same FNV-1a hash, two and two. */
const COLLIDING = ['costarring', 'liquid', 'declinate', 'macallums'];

const key = fc.oneof(
  fc.constantFrom(...COLLIDING),
  fc.nat(200).map((it) => `key ${it}`),
  fc.string({ maxLength: 3 }),
);

describe('A persistent map', () => {
  test('holds what was set last, as a Map does, and none before it changes', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(key, fc.nat()), { maxLength: 300 }), (entries) => {
        const model = new Map<string, number>();
        const stages = [{ map: PersistentMap.empty<number>(), held: [] as [string, number][] }];
        for (const [name, value] of entries) {
          model.set(name, value);
          const map = (stages.at(-1)?.map ?? PersistentMap.empty<number>()).set(name, value);
          stages.push({ map, held: [...model] });
        }
        for (const { map, held } of stages) {
          expect(map.size).toBe(held.length);
          expect([...map].sort()).toEqual(held.sort());
          for (const [name, value] of held) expect(map.get(name)).toBe(value);
        }
      }),
      { numRuns: 50 },
    );
  });

  test('tells keys apart that have the same hash', () => {
    const [one = '', other = ''] = COLLIDING;
    const map = PersistentMap.empty<number>().set(one, 1);
    expect(map.get(other)).toBeUndefined();
    expect(map.set(other, 2).set(one, 3).set('third', 4).get(other)).toBe(2);
    expect([...map.set(other, 2).set('third', 4)]).toHaveLength(3);
  });

  test('has nothing under what was not set', () => {
    const map = PersistentMap.empty<undefined>().set('there', undefined);
    expect([map.has('there'), map.has('not there'), map.size]).toEqual([true, false, 1]);
    expect(PersistentMap.empty().get('')).toBeUndefined();
  });
});
