import type { Aggregate, EngineStores, FactTables } from './aggregate.ts';
import type { FactSources } from './batch-needs.ts';

type Load = (keys: readonly string[]) => Promise<ReadonlyMap<string, unknown>>;

/**
 * Where the facts of each aggregate come from.
 * @param tableOf loads rows of a read table, by its name; undefined where no projection writes it
 */
export function factSources(
  aggregates: readonly Aggregate[],
  stores: EngineStores,
  tableOf: (name: string) => Load | undefined,
): FactSources {
  const loadOf = ({ facts }: Aggregate): Load | undefined => {
    if (facts === undefined) return undefined;
    if ('load' in facts) return (keys) => facts.load(stores, keys);
    return 'tables' in facts ? fromTables(facts, tableOf) : tableOf(facts.name);
  };
  return new Map(
    aggregates.flatMap((aggregate) => {
      const load = loadOf(aggregate);
      return load === undefined ? [] : [[aggregate, load] as const];
    }),
  );
}

/** Asks only the tables that are named, each for its own keys. */
function fromTables({ tables }: FactTables<unknown>, tableOf: (name: string) => Load | undefined): Load {
  const sources = Object.entries(tables).map(([name, table]) => ({ prefix: `${name}:`, load: tableOf(table.name) }));
  return async (keys) => {
    const facts = new Map<string, unknown>();
    const asked = sources.map(async ({ prefix, load }) => {
      const own = keys.filter((key) => key.startsWith(prefix)).map((key) => key.slice(prefix.length));
      if (own.length === 0 || load === undefined) return;
      for (const [key, fact] of await load(own)) facts.set(`${prefix}${key}`, fact);
    });
    await Promise.all(asked);
    return facts;
  };
}
