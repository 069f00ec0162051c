import { fault } from './faults.ts';

/** Ids as clients see them: type and raw id, base64url. */
export function encodeGlobalId(typename: string, id: string): string {
  return Buffer.from(`${typename}:${id}`).toString('base64url');
}

/** @returns undefined for a text that is no global id */
export function parseGlobalId(globalId: string): { typename: string; id: string } | undefined {
  if (globalId.length > 500) return undefined;
  const [, typename, id] = /^([A-Za-z]+):([\x20-\x7e]+)$/.exec(Buffer.from(globalId, 'base64').toString('utf8')) ?? [];
  return typename === undefined || id === undefined ? undefined : { typename, id };
}

/** @throws a fault that tells the client what such an id looks like */
export function decodeGlobalId(globalId: string): { typename: string; id: string } {
  const parsed = parseGlobalId(globalId);
  if (parsed === undefined) throw fault('BAD_USER_INPUT', `${shown(globalId)} is not an id that this API gave.`);
  return parsed;
}

/** The raw id of an entity of this type. @throws a fault for any other id */
export function decodeIdOf(typename: string, globalId: string): string {
  const parsed = decodeGlobalId(globalId);
  if (parsed.typename !== typename) {
    throw fault('BAD_USER_INPUT', `${shown(globalId)} is the id of a ${parsed.typename}, not of a ${typename}.`);
  }
  return parsed.id;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
