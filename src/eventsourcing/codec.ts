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

/** The protected fields of a schema, by path; elements of arrays and the like are `[]`. */
export function protectedFields(schema: z.ZodType): ReadonlyMap<string, Protection> {
  const found = new Map<string, Protection>();
  const visited = new Set<z.core.$ZodType>();
  const visit = (each: z.core.$ZodType, path: string): void => {
    if (visited.has(each)) return;
    const protection = protections.get(each as z.ZodType);
    if (protection !== undefined) {
      found.set(path, protection);
      return;
    }
    visited.add(each);
    for (const [name, member] of membersOf(each)) visit(member, `${path}${name}`);
    visited.delete(each);
  };
  visit(schema, '');
  return found;
}

function membersOf(schema: z.core.$ZodType): [string, z.core.$ZodType][] {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object': {
      const members = Object.entries(def.shape).map(([name, it]): [string, z.core.$ZodType] => [`.${name}`, it]);
      return def.catchall === undefined ? members : [...members, ['.*', def.catchall]];
    }
    case 'array':
      return [['[]', def.element]];
    case 'set':
      return [['[]', def.valueType]];
    case 'record':
    case 'map':
      return [
        ['{}', def.keyType],
        ['[]', def.valueType],
      ];
    case 'tuple':
      return [...def.items, ...(def.rest ? [def.rest] : [])].map((it) => ['[]', it]);
    case 'union':
      return def.options.map((it) => ['', it]);
    case 'intersection':
      return [
        ['', def.left],
        ['', def.right],
      ];
    case 'pipe':
      return [
        ['', def.in],
        ['', def.out],
      ];
    case 'lazy':
      return [['', def.getter()]];
    case 'optional':
    case 'nullable':
    case 'default':
    case 'prefault':
    case 'nonoptional':
    case 'success':
    case 'catch':
    case 'readonly':
    case 'promise':
      return [['', def.innerType]];
    default:
      return [];
  }
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
