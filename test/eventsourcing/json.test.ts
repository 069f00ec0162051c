import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalJson } from '../../src/eventsourcing/json.ts';

/** The same value with the members of every object in another order. */
function shuffled(value: unknown, turn: (count: number) => number): unknown {
  if (Array.isArray(value)) return value.map((it: unknown) => shuffled(it, turn));
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => [key, shuffled(member, turn)] as const);
  const start = entries.length === 0 ? 0 : turn(entries.length);
  return Object.fromEntries([...entries.slice(start), ...entries.slice(0, start).reverse()]);
}

describe('Canonical JSON', () => {
  it('is the same whatever the order of members, at every depth', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.infiniteStream(fc.nat()), (value, turns) => {
        const turn = (count: number) => (turns.next().value ?? 0) % count;
        expect(canonicalJson(shuffled(value, turn))).toBe(canonicalJson(value));
      }),
    );
  });

  it('is JSON of the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });

  it('differs where values differ', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (a, b) => {
        const [one, other] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))];
        expect(canonicalJson(one) === canonicalJson(other)).toBe(isSame(one, other));
      }),
    );
  });

  it('keeps the order of arrays, and leaves out what is undefined', () => {
    expect(canonicalJson({ b: [2, 1], a: undefined })).toBe('{"b":[2,1]}');
  });

  it('sorts keys that look like numbers or prototypes like any others', () => {
    const text = '{"b":1,"__proto__":{"y":1,"x":2},"10":1,"9":1}';
    expect(canonicalJson(JSON.parse(text))).toBe(
      canonicalJson(JSON.parse('{"9":1,"10":1,"__proto__":{"x":2,"y":1},"b":1}')),
    );
    expect(canonicalJson(JSON.parse(text))).toContain('__proto__');
  });
});

function isSame(a: unknown, b: unknown): boolean {
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((it, at) => isSame(it, b[at]));
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const [ours, theirs] = [new Map(Object.entries(a)), new Map(Object.entries(b))];
  return ours.size === theirs.size && [...ours].every(([key, it]) => theirs.has(key) && isSame(it, theirs.get(key)));
}
