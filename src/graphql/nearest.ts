import { fault } from './faults.ts';

/** So many are suggested. */
const MAX_NAMED = 3;
const MAX_SHOWN = 80;

/**
 * What somebody may have meant by a name that there is not: `Did you mean OrderPaid or OrderPlaced?`, in the order of how
 * near they are. Empty where nothing is near.
 */
export function didYouMean(name: string, known: Iterable<string>): string {
  const wanted = name.slice(0, MAX_SHOWN).toLowerCase();
  const near = [...known]
    .map((it) => ({ it, distance: distanceOf(wanted, it.toLowerCase()) }))
    .filter(({ it, distance }) => distance <= Math.max(2, it.length / 3))
    .sort((a, b) => a.distance - b.distance || (a.it < b.it ? -1 : 1))
    .slice(0, MAX_NAMED)
    .map(({ it }) => it);
  const last = near.pop();
  if (last === undefined) return '';
  return ` Did you mean ${near.length === 0 ? last : `${near.join(', ')} or ${last}`}?`;
}

/**
 * Whatever a filter names must be there: an empty answer to a slip of the pen would look like nothing had happened.
 * @param what it should be: `type of events`
 * @param more where all of them can be found
 * @throws the fault BAD_USER_INPUT
 */
export function expectKnown(what: string, name: string, known: Iterable<string>, more = ''): void {
  const all = new Set(known);
  if (!all.has(name))
    throw fault('BAD_USER_INPUT', `There is no ${what} ${quoted(name)}.${didYouMean(name, all)}${more}`);
}

/** What somebody sent, as it is repeated to them. */
export function quoted(name: string): string {
  return JSON.stringify(name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}…` : name);
}

/** How many letters are to be put in, taken out or replaced (Levenshtein 1965). */
function distanceOf(one: string, other: string): number {
  let before = Array.from({ length: other.length + 1 }, (_, at) => at);
  for (let at = 1; at <= one.length; at += 1) {
    const row = [at];
    for (let to = 1; to <= other.length; to += 1) {
      const replaced = (before[to - 1] ?? 0) + (one[at - 1] === other[to - 1] ? 0 : 1);
      row.push(Math.min((before[to] ?? 0) + 1, (row[to - 1] ?? 0) + 1, replaced));
    }
    before = row;
  }
  return before[other.length] ?? 0;
}
