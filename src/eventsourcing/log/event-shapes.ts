import { conceal, textsIn } from '../../platform/redaction.ts';
import { protectedMembers } from '../keys/protected-fields.ts';
import type { StorageCodec } from './codec.ts';
import { type EventDefinition, forgottenBy, type RecordedEvent } from './event.ts';

/** What was stored encrypted, in any form that there may be one day. */
const SEALED = /^sealed\d+\./;

/**
 * Every shape of every type of event that this program knows. What is read from the log is opened in the shape in which it
 * was written, then upcast step by step to the newest.
 *
 * What it does not know, a newer program wrote: an event of another type, or of a later version. It is not an error to
 * read it. It is shown as it is, and marked, so that nobody takes it for what it is not.
 */
export class EventShapes {
  /** Types of events that somebody is forgotten with. */
  readonly forgetting: ReadonlySet<string>;
  readonly #definitions: ReadonlyMap<string, EventDefinition>;

  /** @throws {NotStorable} a shape, of whichever version, has protected fields that cannot be opened */
  constructor(definitions: readonly EventDefinition[], codec: StorageCodec) {
    this.#definitions = new Map(definitions.map((definition) => [definition.type, definition]));
    this.forgetting = new Set(definitions.filter((it) => it.forgets !== undefined).map(({ type }) => type));
    for (const { type, data, formerVersions = [] } of definitions) {
      codec.admit(type, data);
      for (const it of formerVersions) codec.admit(type, it.data, 'event', formerName(type, it.schemaVersion));
    }
  }

  definitionOf(type: string): EventDefinition | undefined {
    return this.#definitions.get(type);
  }

  /** Whoever is to be forgotten with an event; undefined for nobody. */
  forgottenBy({ type, data }: RecordedEvent): string | undefined {
    const definition = this.#definitions.get(type);
    return definition === undefined ? undefined : forgottenBy(definition, data);
  }

  /** Under which name the codec knows the shape in which an event was written. */
  nameOf({ type, schemaVersion }: RecordedEvent): string {
    const definition = this.#definitions.get(type);
    return definition === undefined || definition.schemaVersion === schemaVersion
      ? type
      : formerName(type, schemaVersion);
  }

  /** An event as it was written, opened, in the shape that its type has today. */
  today(event: RecordedEvent): RecordedEvent {
    const { type, schemaVersion } = event;
    const definition = this.#definitions.get(type);
    if (definition === undefined) return asStored(event, `This server is older than its data: it knows no ${type}.`);
    if (schemaVersion === definition.schemaVersion) return event;
    return upcast(event, definition);
  }
}

function upcast(event: RecordedEvent, { type, schemaVersion: newest, formerVersions = [] }: EventDefinition) {
  const { schemaVersion } = event;
  if (schemaVersion > newest) {
    const known = `it knows ${type} up to version ${newest}, and this is version ${schemaVersion}`;
    return asStored(event, `This server is older than its data: ${known}.`);
  }
  const steps = formerVersions.filter((it) => it.schemaVersion >= schemaVersion);
  const [first] = steps;
  if (first === undefined || first.schemaVersion !== schemaVersion)
    return asStored(event, `${type} never had a version ${schemaVersion}.`);
  try {
    const data = steps.reduce<unknown>((it, step) => step.upcast(it), event.data);
    return { ...event, schemaVersion: newest, data };
  } catch (error) {
    // It was opened: what is personal in it is not for whoever looks at what is broken.
    const names = [...protectedMembers(first.data).keys()];
    conceal(error, textsIn(onlyMembers(event.data, names)));
    const why = error instanceof Error ? error.message : String(error);
    return asStored(event, `It could not be upcast from version ${schemaVersion} to ${newest}: ${why}`, names);
  }
}

function onlyMembers(data: unknown, names: readonly string[]): unknown {
  return Object.entries(data ?? {}).flatMap(([name, it]) => (names.includes(name) ? [it] : []));
}

function asStored(event: RecordedEvent, unreadable: string, names: readonly string[] = []): RecordedEvent {
  return { ...event, data: withoutProtected(event.data, names), unreadable };
}

/** Null in the place of whatever is sealed, and of these members of the data itself. */
function withoutProtected(value: unknown, names: readonly string[] = []): unknown {
  if (typeof value === 'string') return SEALED.test(value) ? null : value;
  if (Array.isArray(value)) return value.map((it) => withoutProtected(it));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, it]) => [name, names.includes(name) ? null : withoutProtected(it)]),
  );
}

function formerName(type: string, schemaVersion: number): string {
  return `${type} v${schemaVersion}`;
}
