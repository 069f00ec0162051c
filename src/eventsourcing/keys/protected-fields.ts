import { z } from 'zod';

/**
 * How a field is protected: `personal` belongs to the subject that a sibling field names, `secret` ends with its command,
 * `hash` is made of a personal sibling when it is stored.
 */
export type Protection =
  | { readonly kind: 'personal'; readonly subject: string }
  | { readonly kind: 'secret' }
  | { readonly kind: 'hash'; readonly of: string };

const protections = z.registry<Protection>();

/**
 * Marks a field that holds personal data: it is stored encrypted, with the key of the person whom it belongs to. It
 * becomes nullable, since that key may be lost or destroyed: null then says FORGOTTEN.
 * @param field put all its rules here: what the mark gives back is another schema
 * @param subject name of the sibling field with the id of the person whom the data belongs to
 */
export function personal<Field extends z.ZodType>(field: Field, subject: string): z.ZodNullable<Field> {
  const marked = z.nullable(field);
  protections.add(marked, { kind: 'personal', subject });
  return marked;
}

/**
 * Marks a field of a command's input that must not outlive its command, like a payment token: it is stored encrypted
 * while the command has no end, and as null from then on.
 */
export function secret<Field extends z.ZodType>(field: Field): Field {
  // A copy is marked, since the schema that was handed in may be used elsewhere for something else.
  const marked = field.clone();
  protections.add(marked, { kind: 'secret' });
  return marked;
}

/**
 * A member of a read row by which rows can be looked up that have a certain text in a personal member: its keyed hash, in a
 * text column. It is made when the row is stored, and is for conditions alone: whoever makes or reads a row has null.
 * Compare it with `StorageCodec.keyedHash`.
 * @param member the personal one, a text
 */
export function hashOf(member: string): z.ZodNullable<z.ZodString> {
  const marked = z.string().nullable();
  protections.add(marked, { kind: 'hash', of: member });
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

/** The protected members of an object's schema itself, by name: as they are marked, or optional or nullable besides. */
export function protectedMembers(schema: z.ZodType): ReadonlyMap<string, Protection> {
  const found = new Map<string, Protection>();
  if (!(schema instanceof z.ZodObject)) return found;
  for (const [name, member] of Object.entries(schema.shape)) {
    const protection = protectionOf(member);
    if (protection !== undefined) found.set(name, protection);
  }
  return found;
}

function protectionOf(schema: z.core.$ZodType): Protection | undefined {
  const protection = protections.get(schema as z.ZodType);
  if (protection !== undefined) return protection;
  const { def } = (schema as z.core.$ZodTypes)._zod;
  return def.type === 'optional' || def.type === 'nullable' ? protectionOf(def.innerType) : undefined;
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
