import { GraphQLError, Kind, type ValueNode } from 'graphql';

export type Scalars = {
  DateTime: { Input: Date; Output: Date };
  SafeInt: { Input: number; Output: number };
  Currency: { Input: string; Output: string };
  JSON: { Input: unknown; Output: unknown };
  Position: { Input: string; Output: string };
  ID: { Input: string; Output: string };
};

/** How each scalar is described, checked and written. */
export const scalars = {
  DateTime: {
    description: 'An instant in UTC, RFC 3339.',
    serialize: (instant: Date) => instant.toISOString(),
    parseValue: parseInstant,
  },
  SafeInt: {
    description: 'An integer up to 2^53 - 1.',
    serialize: (value: number) => value,
    parseValue: parseSafeInt,
    parseLiteral: (node: ValueNode) => parseSafeInt(node.kind === Kind.INT ? Number(node.value) : undefined),
  },
  Currency: {
    description: 'An ISO 4217 code.',
    serialize: (code: string) => code,
    parseValue: (value: unknown) => parseText('Currency', value),
  },
  Position: {
    description:
      'A place in the global order of events: `<epoch>.<zero-padded number>`. Of two, the later in string order is the later. A restore begins a new epoch. One that this store never gave, or not yet, is the error POSITION_UNKNOWN.',
    serialize: (position: string) => position,
    parseValue: (value: unknown) => parseText('Position', value),
  },
  JSON: {
    description: 'Any JSON value.',
    serialize: (value: unknown) => value,
    parseValue: (value: unknown) => value,
    parseLiteral: literalToJson,
  },
};

const RFC_3339 = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/i;

function parseInstant(value: unknown): Date {
  const instant = typeof value === 'string' && RFC_3339.test(value) && isDay(value) ? new Date(value) : undefined;
  if (instant === undefined || Number.isNaN(instant.getTime())) {
    throw new GraphQLError('DateTime must be an instant like 2030-01-31T12:00:00Z.');
  }
  return instant;
}

/** The 30th of February would be taken for the 2nd of March. */
function isDay(text: string): boolean {
  const day = text.slice(0, 10);
  const midnight = new Date(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(day);
}

function parseSafeInt(value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
  throw new GraphQLError('SafeInt must be a whole number between -(2^53 - 1) and 2^53 - 1.');
}

function parseText(scalar: string, value: unknown): string {
  if (typeof value === 'string') return value;
  throw new GraphQLError(`${scalar} must be a string.`);
}

function literalToJson(node: ValueNode, variables?: Record<string, unknown> | null): unknown {
  switch (node.kind) {
    case Kind.NULL:
      return null;
    case Kind.INT:
    case Kind.FLOAT:
      return Number(node.value);
    case Kind.LIST:
      return node.values.map((item) => literalToJson(item, variables));
    case Kind.OBJECT:
      return Object.fromEntries(node.fields.map((it) => [it.name.value, literalToJson(it.value, variables)]));
    case Kind.VARIABLE:
      return variables?.[node.name.value];
    default:
      return node.value;
  }
}
