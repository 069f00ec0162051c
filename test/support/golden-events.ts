import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { contexts } from '../../src/contexts/index.ts';
import { protectedFields } from '../../src/eventsourcing/keys/protected-fields.ts';
import type { EventDefinition } from '../../src/eventsourcing/log/event.ts';
import { processEvents } from '../../src/processes/index.ts';
import { exampleOf, type Mode } from './schema-examples.ts';

/**
 * What was ever written to a log, in files that are written once and never changed: of each version of each event its
 * shape, and examples. An example of a former version has its upcast form among the examples of the version after it.
 */

const example = z.object({
  /** Of the version before: the example that was upcast to this one. */
  upcastFrom: z.number().int().optional(),
  /** As it is before it is sealed. */
  data: z.record(z.string(), z.unknown()),
});
const golden = z.object({
  type: z.string(),
  schemaVersion: z.number().int(),
  /** Members that are personal, with the member that says whose they are. */
  personal: z.record(z.string(), z.string()),
  schema: z.unknown(),
  examples: z.array(example),
});
export type Golden = z.output<typeof golden>;

/** One version of a type of event, as the code has it. */
export interface EventVersion {
  readonly type: string;
  readonly schemaVersion: number;
  readonly data: z.ZodObject;
  /** Of former versions. */
  upcast?(data: unknown): object;
}

/** Of all contexts and processes. */
export const eventDefinitions: readonly EventDefinition[] = [
  ...contexts.flatMap(({ aggregates }) => aggregates.flatMap(({ events }) => events)),
  ...processEvents,
];

/** Every version, from the first to the one of today. */
export function versionsOf({ type, schemaVersion, data, formerVersions = [] }: EventDefinition): EventVersion[] {
  const former = formerVersions.map(
    (it): EventVersion => ({
      type,
      schemaVersion: it.schemaVersion,
      data: it.data,
      upcast: (before) => it.upcast(before),
    }),
  );
  return [...former, { type, schemaVersion, data }];
}

export function goldenPath(folder: string, { type, schemaVersion }: Pick<EventVersion, 'type' | 'schemaVersion'>) {
  return join(folder, `${type}.v${schemaVersion}.json`);
}

/** @returns undefined where there is none */
export function readGolden(folder: string, version: Pick<EventVersion, 'type' | 'schemaVersion'>): Golden | undefined {
  const path = goldenPath(folder, version);
  return existsSync(path) ? golden.parse(JSON.parse(readFileSync(path, 'utf8'))) : undefined;
}

/** Writes the files that are missing, and changes none. @returns their paths */
export function writeMissing(folder: string, definitions: readonly EventDefinition[]): string[] {
  mkdirSync(folder, { recursive: true });
  const written: string[] = [];
  for (const versions of definitions.map(versionsOf)) {
    for (const [at, version] of versions.entries()) {
      const path = goldenPath(folder, version);
      if (existsSync(path)) continue;
      const text = JSON.stringify(goldenOf(version, versions[at - 1], folder), null, 2);
      writeFileSync(path, `${text}\n`, { flag: 'wx' });
      written.push(path);
    }
  }
  return written;
}

function goldenOf(version: EventVersion, former: EventVersion | undefined, folder: string): Golden {
  const before = former && readGolden(folder, former);
  const upcast = (before?.examples ?? []).map(({ data }, upcastFrom) => ({
    upcastFrom,
    data: z.record(z.string(), z.unknown()).parse(former?.upcast?.(data)),
  }));
  const modes: Mode[] = ['full', 'least'];
  const own = modes.map((mode) => ({ data: z.record(z.string(), z.unknown()).parse(exampleOf(version, mode)) }));
  return { ...shapeOf(version), examples: [...upcast, ...own] };
}

/** What may be stored: without what only describes it, or says who is shown it. */
export function shapeOf({ type, schemaVersion, data }: EventVersion): Omit<Golden, 'examples'> {
  const personal = [...protectedFields(data)].flatMap(([path, it]) =>
    it.kind === 'personal' ? [[path.slice(1), it.subject] as const] : [],
  );
  const schema = z.toJSONSchema(data, { io: 'input', unrepresentable: 'any' });
  return { type, schemaVersion, personal: Object.fromEntries(personal), schema: bare(schema) };
}

const DESCRIBING = new Set(['$schema', 'description', 'title', 'id', 'audience', 'graphql', 'idOf']);

function bare(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(bare);
  if (typeof schema !== 'object' || schema === null) return schema;
  const isFormatted = 'format' in schema && typeof schema.format === 'string';
  const kept = Object.entries(schema).filter(
    // How zod puts the pattern of a format is its own affair.
    ([name, it]) => !(DESCRIBING.has(name) && typeof it !== 'object') && !(isFormatted && name === 'pattern'),
  );
  return Object.fromEntries(
    kept.map(([name, it]) => {
      if (name === 'required' && Array.isArray(it)) return [name, [...it].sort()];
      // Names of members are names, whatever they are.
      if (name === 'properties' && typeof it === 'object' && it !== null)
        return [name, Object.fromEntries(Object.entries(it).map(([member, of]) => [member, bare(of)]))];
      return [name, bare(it)];
    }),
  );
}

/** What is wrong with a version of an event, for whoever changed it; undefined where its file and the code agree. */
export function problemOf(folder: string, version: EventVersion): string | undefined {
  const { type, schemaVersion } = version;
  const file = readGolden(folder, version);
  if (file === undefined)
    return `${type} has no golden file of version ${schemaVersion}: run \`npm run golden\`, and commit what it writes.`;
  const { examples: _, ...shape } = file;
  if (sameJson(shape, shapeOf(version))) return undefined;
  return `${type} is not what was written as version ${schemaVersion} any more, and logs hold events of that shape.
Raise its schemaVersion to ${schemaVersion + 1}, keep the shape of version ${schemaVersion} in formerVersions with an upcaster, then run \`npm run golden\`.
(Only where version ${schemaVersion} was never in a commit: delete ${goldenPath('test/golden/events', version)} and run it.)
It was ${JSON.stringify(shape)}
and is  ${JSON.stringify(shapeOf(version))}`;
}

function sameJson(one: unknown, other: unknown): boolean {
  return sorted(one) === sorted(other);
}

function sorted(value: unknown): string {
  return JSON.stringify(value, (_, it: unknown) =>
    typeof it === 'object' && it !== null && !Array.isArray(it)
      ? Object.fromEntries(Object.entries(it).sort(([a], [b]) => (a < b ? -1 : 1)))
      : it,
  );
}
