import { z } from 'zod';

/** `full`: with all that there may be. `least`: with nothing that need not be there; what may be forgotten is. */
export type Mode = 'full' | 'least';

const schemaNode = z.looseObject({
  type: z.union([z.string(), z.array(z.string())]).optional(),
  const: z.unknown().optional(),
  enum: z.array(z.unknown()).optional(),
  anyOf: z.array(z.unknown()).optional(),
  oneOf: z.array(z.unknown()).optional(),
  properties: z.record(z.string(), z.unknown()).optional(),
  required: z.array(z.string()).optional(),
  items: z.unknown().optional(),
  minItems: z.number().optional(),
  minimum: z.number().optional(),
  format: z.string().optional(),
  graphql: z.string().optional(),
});

/** Texts with rules that no JSON schema can tell, by the name of the member. */
const TEXTS: Readonly<Record<string, string>> = {
  sku: 'MUG',
  skus: 'MUG',
  currency: 'GBP',
  email: 'anna@example.org',
  to: 'anna@example.org',
};

/**
 * An example of what an event of a version may have, always the same.
 * @throws where it is not valid: then the schema has a rule that is to be told here
 */
export function exampleOf(
  { type, schemaVersion, data }: { type: string; schemaVersion: number; data: z.ZodObject },
  mode: Mode,
): unknown {
  const schema = z.toJSONSchema(data, { io: 'input', unrepresentable: 'any' });
  const made = instanceFor(schema, mode, type);
  const result = data.safeParse(made);
  if (result.success) return result.data;
  throw new Error(
    `No example of ${type} version ${schemaVersion} can be made: add its rule to test/support/schema-examples.ts.\n${z.prettifyError(result.error)}`,
  );
}

function instanceFor(node: unknown, mode: Mode, name: string): unknown {
  const schema = schemaNode.parse(node);
  if ('const' in schema) return schema.const;
  if (schema.enum !== undefined) return mode === 'full' ? schema.enum[0] : schema.enum.at(-1);
  const options = (schema.anyOf ?? schema.oneOf)?.map((it) => schemaNode.parse(it));
  if (options !== undefined) {
    const isNull = ({ type }: z.output<typeof schemaNode>) => type === 'null';
    if (mode === 'least' && options.some(isNull)) return null;
    return instanceFor(
      options.find((it) => !isNull(it)),
      mode,
      name,
    );
  }
  const types = [schema.type ?? []].flat();
  switch (mode === 'least' && types.includes('null') ? 'null' : types[0]) {
    case 'object':
      return objectOf(schema, mode);
    case 'array':
      return mode === 'full' || (schema.minItems ?? 0) > 0 ? [instanceFor(schema.items, mode, name)] : [];
    case 'string':
      return textOf(schema.format, name);
    case 'integer':
    case 'number':
      return mode === 'full' ? 7 : Math.max(schema.minimum ?? 0, 0);
    case 'boolean':
      return mode === 'full';
    case 'null':
      return null;
    default:
      // Whatever JSON there may be.
      return { code: 'ANY', message: 'Anything.' };
  }
}

function objectOf({ properties = {}, required = [] }: z.output<typeof schemaNode>, mode: Mode): object {
  const members = Object.entries(properties).filter(([name]) => mode === 'full' || required.includes(name));
  return Object.fromEntries(members.map(([name, it]) => [name, instanceFor(it, mode, name)]));
}

function textOf(format: string | undefined, name: string): string {
  if (format === 'date-time') return '2026-11-21T12:00:00.000Z';
  if (format === 'uuid') return '00000000-0000-4000-8000-000000000001';
  return TEXTS[name] ?? `some ${name}`;
}
