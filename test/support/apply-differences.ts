import type { Difference } from '../../src/eventsourcing/history/difference.ts';
import type { Json } from '../../src/eventsourcing/json.ts';

/** Does to a value what a list of differences says, as anybody would who reads it. */
export function applied(value: Json, found: readonly Pick<Difference, 'path' | 'to'>[]): Json {
  return found.reduce<Json>((it, { path, to }) => put(it, keysIn(path), to), value);
}

function keysIn(path: string): string[] {
  return path
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

function put(value: Json, [key, ...rest]: readonly string[], to: Json): Json {
  if (key === undefined) return to;
  if (Array.isArray(value)) return value.with(Number(key), put(value[Number(key)] ?? null, rest, to));
  const members = new Map(Object.entries(value ?? {}));
  const member = put(members.get(key) ?? null, rest, to);
  if (member === null) members.delete(key);
  else members.set(key, member);
  return Object.fromEntries(members);
}
