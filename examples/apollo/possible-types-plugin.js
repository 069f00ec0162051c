/**
 * For codegen: which types each union and interface has. Apollo's cache needs it to know that a VersionConflict is a
 * Rejection; without, `... on Rejection` matches nothing. Elsewhere `@graphql-codegen/fragment-matcher` makes the same.
 */
import { isAbstractType } from 'graphql';

export function plugin(schema) {
  const possibleTypes = Object.values(schema.getTypeMap())
    .filter((type) => isAbstractType(type) && !type.name.startsWith('__'))
    .map((type) => [type.name, schema.getPossibleTypes(type).map(({ name }) => name)]);
  return `export const possibleTypes = ${JSON.stringify(Object.fromEntries(possibleTypes), null, 2)};\n`;
}
