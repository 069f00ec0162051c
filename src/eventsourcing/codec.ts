import { z } from 'zod';
import type { Json } from './json.ts';

/** How a field is protected: `personal` belongs to the subject that a sibling field names, `secret` ends with its command. */
export type Protection = { readonly kind: 'personal'; readonly subject: string } | { readonly kind: 'secret' };

const protections = z.registry<Protection>();

/**
 * Marks a field that holds personal data.
 * @param subject name of the sibling field with the id of the person whom the data belongs to
 */
export function personal<Field extends z.ZodType>(field: Field, subject: string): Field {
  return register(field, { kind: 'personal', subject });
}

/** Marks a field that must not outlive its command, like a payment token. */
export function secret<Field extends z.ZodType>(field: Field): Field {
  return register(field, { kind: 'secret' });
}

/** A copy is marked, since the schema that was handed in may be used elsewhere for something else. */
function register<Field extends z.ZodType>(field: Field, protection: Protection): Field {
  const marked = field.clone();
  protections.add(marked, protection);
  return marked;
}

/** The protected fields of a schema, by path; an array's elements are `[]`. */
export function protectedFields(schema: z.ZodType, path = ''): ReadonlyMap<string, Protection> {
  const protection = protections.get(schema);
  if (protection !== undefined) return new Map([[path, protection]]);
  return new Map(membersOf(schema).flatMap(([name, member]) => [...protectedFields(member, `${path}${name}`)]));
}

function membersOf(schema: z.ZodType): [string, z.ZodType][] {
  if (schema instanceof z.ZodObject) {
    return Object.entries(schema.shape).map(([name, member]) => [`.${name}`, z.instanceof(z.ZodType).parse(member)]);
  }
  if (schema instanceof z.ZodArray) return [['[]', z.instanceof(z.ZodType).parse(schema.element)]];
  if (schema instanceof z.ZodUnion) return schema.options.map((option) => ['', z.instanceof(z.ZodType).parse(option)]);
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault) {
    return [['', z.instanceof(z.ZodType).parse(schema.unwrap())]];
  }
  return [];
}

/** A value that may not be stored, with the reason. Nothing was written. */
export class NotStorable extends Error {
  override readonly name = 'NotStorable';
}

/**
 * The single way of events, command inputs and read rows to the database and back.
 *
 * A schema with protected fields is refused until there are keys to encrypt with: personal data never reaches the
 * database in the clear by being early.
 */
export class StorageCodec {
  /** Says before anything runs that a schema can be stored. @throws {NotStorable} */
  admit(name: string, schema: z.ZodType): void {
    const [path] = protectedFields(schema).keys();
    if (path !== undefined) {
      throw new NotStorable(`${name} has a protected field (${path}), and this store has no keys to protect it with.`);
    }
  }

  /** @throws {NotStorable} the value does not fit its schema */
  encode(schema: z.ZodType, value: unknown): Json {
    const result = schema.safeParse(value);
    if (!result.success) throw new NotStorable(z.prettifyError(result.error), { cause: result.error });
    return this.encodeValid(result.data);
  }

  /** For a value that was made by its schema, or whose type was checked. */
  encodeValid(value: unknown): Json {
    return jsonValue.parse(value);
  }

  /** What was written by `encode` is valid by construction: it is not checked again. */
  decode(stored: unknown): unknown {
    return stored;
  }
}

const jsonValue = z.custom<Json>((value) => value !== undefined);
