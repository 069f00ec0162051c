import { fault } from './faults.ts';

/**
 * Ids as clients see them: type and raw id, base64url. What is shown as of an earlier point has an id of its own, which
 * names the position of its newest event too: so a client's cache never takes the past for the present, and two points
 * between which nothing happened to it are one.
 */

/** Between a raw id and a position, within the server: no raw id has it in it. */
const POINT = '\u001f';
const RAW_ID = /^[^\p{Cc}\p{Cs}]+$/u;
const GLOBAL_ID = /^([A-Za-z]+)(?:@(\d{1,15}))?:(.+)$/su;
/** Enough for a guest whose name has 200 characters of 4 bytes, with a type and a point in time. */
const MAX_LENGTH = 1_200;

export interface ParsedId {
  readonly typename: string;
  /** The raw id. */
  readonly id: string;
  /** The position of the newest event in what it names; undefined for what there is now. */
  readonly asOf: number | undefined;
}

/** Whether a text can be a raw id: whole characters, none of them a control character. */
export function isRawId(text: string): boolean {
  return RAW_ID.test(text);
}

/** The raw id of what is shown as of a position; as it is without one. */
export function idAsOf(id: string, asOf: number | undefined): string {
  return asOf === undefined ? id : `${id}${POINT}${asOf}`;
}

/** What `idAsOf` was made of. */
export function splitId(id: string): { readonly id: string; readonly asOf: number | undefined } {
  const [raw = '', asOf] = id.split(POINT);
  return { id: raw, asOf: asOf === undefined ? undefined : Number(asOf) };
}

/** @param id may be one that `idAsOf` made */
export function encodeGlobalId(typename: string, id: string): string {
  const { id: raw, asOf } = splitId(id);
  return Buffer.from(`${asOf === undefined ? typename : `${typename}@${asOf}`}:${raw}`).toString('base64url');
}

/** @returns undefined for a text that is no global id */
export function parseGlobalId(globalId: string): ParsedId | undefined {
  if (globalId.length > MAX_LENGTH) return undefined;
  const [, typename, point, id] = GLOBAL_ID.exec(Buffer.from(globalId, 'base64url').toString('utf8')) ?? [];
  if (typename === undefined || id === undefined || !isRawId(id)) return undefined;
  const asOf = point === undefined ? undefined : Number(point);
  // Bytes that are no text, and ways to write an id that this server does not, come back as something else.
  return encodeGlobalId(typename, idAsOf(id, asOf)) === globalId ? { typename, id, asOf } : undefined;
}

/** @throws a fault that tells the client what such an id looks like */
export function decodeGlobalId(globalId: string): ParsedId {
  const parsed = parseGlobalId(globalId);
  if (parsed === undefined) throw fault('BAD_USER_INPUT', `${shown(globalId)} is not an id that this API gave.`);
  return parsed;
}

/** The raw id of an entity of this type, as there is one now. @throws a fault for any other id */
export function decodeIdOf(typename: string, globalId: string): string {
  const { id, asOf } = decodeIdOfAnyTime(typename, globalId);
  if (asOf === undefined) return id;
  throw fault('BAD_USER_INPUT', `${shown(globalId)} ${ofThePast(typename)}.`);
}

/** The same, also from the id of an entity as of an earlier point. @throws a fault for any other id */
export function decodeIdOfAnyTime(typename: string, globalId: string): ParsedId {
  const parsed = decodeGlobalId(globalId);
  if (parsed.typename === typename) return parsed;
  throw fault('BAD_USER_INPUT', `${shown(globalId)} is the id of a ${parsed.typename}, not of a ${typename}.`);
}

/** Why an id cannot be used where something is to be done or watched, or is read as it is now. */
export function ofThePast(typename: string): string {
  return `is an id of ${typename} as of an earlier point, which only node(id:) reads again: send the id of the ${typename} itself`;
}

function shown(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}
