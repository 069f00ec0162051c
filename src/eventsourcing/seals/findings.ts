import { z } from 'zod';

export const FINDING_KINDS = [
  'CHANGED',
  'MISSING',
  'MOVED',
  'EXTRA',
  'SEAL',
  'UNSEALED',
  'CHECKPOINT',
  'CUT',
  'ARCHIVE',
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

/** Something that is not as it was sealed. */
export interface Finding {
  readonly kind: FindingKind;
  /** Of the event; of a seal's first one; of the last one where what follows is gone. */
  readonly position: number;
  /** For people: what it is, in a sentence. */
  readonly message: string;
}

const storedLine = z
  .tuple([z.number(), z.string(), z.string(), z.string(), z.string(), z.number(), z.string()])
  .rest(z.unknown());

/** An event by all that it may be known by: `event 7 (cart-… version 3, ItemAddedToCart, id …)`. */
export function eventNamed(line: string): string {
  const content = storedLine.safeParse(parsed(line)).data;
  if (content === undefined) return 'event';
  const [position, eventId, streamId, , , version, type] = content;
  return `event ${position} (${streamId} version ${version}, ${type}, id ${eventId})`;
}

/** The seal of events, by where they are in the log. */
export function sealNamed(first: number, last: number): string {
  return first === last ? `The seal of event ${first}` : `The seal of events ${first} to ${last}`;
}

/** The same event at another place in the log. */
export function movedTo(line: string, position: number): string {
  return line.replace(/^\[\s*-?\d+/, (head) => head.replace(/-?\d+$/, String(position)));
}

/** When an event says that it was recorded; undefined where it says nothing of use. */
export function recordedAt(line: string): Date | undefined {
  const instant = z.number().safeParse(z.array(z.unknown()).catch([]).parse(parsed(line))[14]).data;
  return instant === undefined || Math.abs(instant) > 8.64e15 ? undefined : new Date(instant);
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}
