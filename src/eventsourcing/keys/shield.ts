import { z } from 'zod';
import type { Json, JsonObject } from '../json.ts';
import { protectedFields, protectedMembers } from './protected-fields.ts';
import { keyNameOf, seal, unseal } from './sealing.ts';
import { type KeyNames, STORE_SUBJECT, type SubjectKeys } from './subject-key.ts';

/** A value that may not be stored, with the reason. Nothing was written. */
export class NotStorable extends Error {
  override readonly name = 'NotStorable';
}

/** What is stored: an event, the input of a command, a row of a read table, the state of an aggregate. */
export type StoredKind = 'event' | 'command' | 'row' | 'snapshot';

interface ProtectedMember {
  readonly name: string;
  /** The member that names whose it is; undefined for a secret. */
  readonly subject: string | undefined;
}

interface HashMember {
  readonly name: string;
  /** The personal member that it is made of. */
  readonly of: string;
}

/** The protected members of one schema: how they are sealed before they are stored, and opened again. */
export class Shield {
  readonly #kind: StoredKind;
  readonly #name: string;
  readonly #members: readonly ProtectedMember[];
  readonly #hashes: readonly HashMember[];

  /**
   * @returns undefined for a schema that has nothing to protect
   * @throws {NotStorable} where it is not the object itself that has the protected members
   */
  static of(kind: StoredKind, name: string, schema: z.ZodType): Shield | undefined {
    const fields = protectedFields(schema);
    if (fields.size === 0) return undefined;
    const members = protectedMembers(schema);
    const refuse = (path: string, why: string) => new NotStorable(`${name} has a protected field (${path}), ${why}.`);
    for (const [path, protection] of fields) {
      if (!path.startsWith('.') || !members.has(path.slice(1)))
        throw refuse(path, 'and only a member of the object itself, possibly optional or nullable, can be protected');
      if (protection.kind === 'secret' && kind !== 'command')
        throw refuse(path, 'and only the input of a command can have a secret');
      if (protection.kind === 'hash' && (kind !== 'row' || members.get(protection.of)?.kind !== 'personal'))
        throw refuse(path, `and only a row has hashes, of its personal members: ${protection.of} is none`);
      if (protection.kind !== 'personal') continue;
      if (!hasMember(schema, protection.subject) || members.has(protection.subject))
        throw refuse(path, `and no plain member ${protection.subject} that says whose it is`);
    }
    const sealed: ProtectedMember[] = [];
    const hashes: HashMember[] = [];
    for (const [member, it] of members) {
      if (it.kind === 'hash') hashes.push({ name: member, of: it.of });
      else sealed.push({ name: member, subject: it.kind === 'personal' ? it.subject : undefined });
    }
    return new Shield(kind, name, sealed, hashes);
  }

  private constructor(
    kind: StoredKind,
    name: string,
    members: readonly ProtectedMember[],
    hashes: readonly HashMember[],
  ) {
    this.#kind = kind;
    this.#name = name;
    this.#members = members;
    this.#hashes = hashes;
  }

  /** The values of what is protected. */
  protectedPart(value: unknown): Json[] {
    return this.#members.flatMap(({ name }) => membersOf(value)[name] ?? []);
  }

  /** Adds whose keys it takes to seal a value. */
  addSubjects(wanted: Set<string>, value: unknown): void {
    for (const member of this.#members) {
      if (isAbsent(membersOf(value)[member.name])) continue;
      const subject = subjectNamedBy(member, value);
      if (subject !== undefined) wanted.add(subject);
    }
  }

  /** Adds which keys it takes to open what is stored. */
  addKeyNames(wanted: KeyNames, stored: unknown): void {
    for (const { name } of this.#members) {
      const named = keyNameOf(membersOf(stored)[name]);
      if (named !== undefined) wanted.add(named.subject, named.version);
    }
  }

  /**
   * A value as it is stored. What belongs to somebody who was forgotten is not.
   * @param hash makes a keyed hash
   * @throws {NotStorable} nobody is named whom it belongs to
   */
  seal(value: Json, id: string, keys: SubjectKeys, hash: (text: string) => string): JsonObject {
    const sealed: Record<string, Json> = { ...(value as JsonObject) };
    for (const member of this.#members) {
      const plain = sealed[member.name];
      if (plain === undefined || plain === null) continue;
      const subject = subjectNamedBy(member, value);
      const key = subject === undefined ? undefined : keys.get(subject);
      if (subject === undefined || key === undefined)
        throw new NotStorable(`${this.#name} has no usable ${member.subject} that says whose ${member.name} is.`);
      sealed[member.name] = key === null ? null : seal(plain, subject, key, this.#identity(id, member.name));
    }
    for (const { name, of } of this.#hashes) {
      const plain = membersOf(value)[of];
      // Who was forgotten is not found any more either.
      sealed[name] = typeof plain === 'string' && sealed[of] !== null ? hash(plain) : null;
    }
    return sealed;
  }

  /** What a later read gives of what was just sealed, without opening it: nothing of who was forgotten by then. */
  kept(value: Json, sealed: Json): JsonObject {
    const kept: Record<string, Json> = { ...membersOf(value) };
    for (const { name } of this.#members) if (membersOf(sealed)[name] === null) kept[name] = null;
    for (const { name } of this.#hashes) kept[name] = null;
    return kept;
  }

  /** The value again; null for what cannot be opened, be it forgotten, changed, or moved from elsewhere. */
  open(stored: unknown, id: string, keys: SubjectKeys): JsonObject {
    const opened: Record<string, Json> = { ...membersOf(stored) };
    for (const { name } of this.#members) {
      const sealed = opened[name];
      if (sealed === undefined) continue;
      const named = keyNameOf(sealed);
      const key = named && keys.get(named.subject)?.of(named.version);
      const isOpen = typeof sealed === 'string' && key !== undefined;
      opened[name] = (isOpen ? unseal(sealed, key, this.#identity(id, name))?.value : null) ?? null;
    }
    for (const { name } of this.#hashes) opened[name] = null;
    return opened;
  }

  /** The personal members of each subject, and what is made of them: by the member that names whose they are. */
  personalMembers(): ReadonlyMap<string, readonly string[]> {
    const found = new Map<string, string[]>();
    for (const { name, subject } of this.#members) {
      if (subject === undefined) continue;
      const hashes = this.#hashes.filter(({ of }) => of === name).map((it) => it.name);
      found.set(subject, [...(found.get(subject) ?? []), name, ...hashes]);
    }
    return found;
  }

  /** Names of the secrets that a value has; undefined for none. */
  secretsIn(value: unknown): string[] | undefined {
    const names = this.#members.flatMap(({ name, subject }) =>
      subject === undefined && !isAbsent(membersOf(value)[name]) ? [name] : [],
    );
    return names.length === 0 ? undefined : names;
  }

  /** The value as it stays once its command has ended. */
  withoutSecrets(value: Json): Json {
    const names = this.secretsIn(value);
    return names === undefined
      ? value
      : { ...membersOf(value), ...Object.fromEntries(names.map((name) => [name, null])) };
  }

  /** The value as those may see it who have no right to what is personal in it, nor to know whose that is. */
  withoutPersonal(value: Json): Json {
    const names = this.#members.flatMap(({ name, subject }) =>
      subject === undefined || membersOf(value)[name] === undefined ? [] : [name, subject],
    );
    return { ...membersOf(value), ...Object.fromEntries(names.map((name) => [name, null])) };
  }

  #identity(id: string, member: string): string[] {
    return [this.#kind, this.#name, id, member];
  }
}

function hasMember(schema: z.ZodType, name: string): boolean {
  return schema instanceof z.ZodObject && Object.hasOwn(schema.shape, name);
}

function subjectNamedBy({ subject }: ProtectedMember, value: unknown): string | undefined {
  if (subject === undefined) return STORE_SUBJECT;
  const named = membersOf(value)[subject];
  return typeof named === 'string' && named !== STORE_SUBJECT ? named : undefined;
}

function isAbsent(value: unknown): boolean {
  return value === undefined || value === null;
}

function membersOf(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null ? (value as JsonObject) : {};
}
