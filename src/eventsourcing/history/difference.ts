import { PersistentMap } from '../commands/persistent-map.ts';
import type { Json } from '../json.ts';

/**
 * One thing that is not the same in two values.
 *
 * `path` is a JSON pointer (RFC 6901): `/lines/MUG/quantity`; empty for the value as a whole. `from` and `to` are null
 * where there is nothing; the values that are compared hold no null of their own but in lists, so null says nothing else.
 */
export interface Difference {
  readonly path: string;
  readonly from: Json;
  readonly to: Json;
}

/**
 * What a decider remembers, as JSON that can be compared: maps as objects by their keys, sets as objects of what they
 * hold (`true`), instants in RFC 3339. Members that are null are left out, like those that are undefined.
 * @returns null for nothing at all
 */
export function comparable(value: unknown): Json {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') return Number.isFinite(value) ? value : String(value);
  if (typeof value === 'bigint') return String(value);
  if (typeof value !== 'object') return null;
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (Array.isArray(value)) return value.map(comparable);
  if (value instanceof Map || value instanceof PersistentMap) return membersOf(value);
  if (value instanceof Set) return membersOf([...value].map((it) => [it, true]));
  return membersOf(Object.entries(value));
}

function membersOf(entries: Iterable<readonly [unknown, unknown]>): Json {
  const members: [string, Json][] = [];
  for (const [key, value] of entries) {
    const member = comparable(value);
    if (member !== null) members.push([String(key), member]);
  }
  return Object.fromEntries(members);
}

/**
 * Where two comparable values differ, in the order of their paths. Applied to the one they give the other: set what `to`
 * says, and take away what it says is null.
 *
 * Objects are compared member by member, and lists of the same length item by item. Where a list has become longer or
 * shorter the whole of it is the difference: which of its items is which cannot be known. What comes or goes is one
 * difference, however much is in it.
 *
 * Our own, since the libraries for it say something else: fast-json-patch leaves out what was there before, microdiff
 * takes the items of a list for the same that have the same place, and jsondiffpatch has a format of its own for them.
 */
export function* differences(from: Json, to: Json, path = ''): Generator<Difference> {
  if (isObject(from) && isObject(to)) {
    const keys = [...new Set([...Object.keys(from), ...Object.keys(to)])].sort();
    for (const key of keys) yield* differences(memberOf(from, key), memberOf(to, key), `${path}/${escaped(key)}`);
  } else if (Array.isArray(from) && Array.isArray(to) && from.length === to.length) {
    for (const [at, item] of from.entries()) yield* differences(item, to[at] ?? null, `${path}/${at}`);
  } else if (from !== to) {
    yield { path, from, to };
  }
}

function isObject(value: Json): value is { readonly [key: string]: Json } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Not what every object has by itself: a line may be called `constructor`. */
function memberOf(value: { readonly [key: string]: Json }, key: string): Json {
  return Object.hasOwn(value, key) ? (value[key] ?? null) : null;
}

function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1');
}
