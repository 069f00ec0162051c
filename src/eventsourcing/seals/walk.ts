import { z } from 'zod';
import { GENESIS } from './log-seal.ts';

const walk = z.object({
  /** Of the log. */
  epoch: z.string(),
  /** The event up to which the log was walked. */
  position: z.number(),
  /** Of that event, in hexadecimal. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Up to here the log is sealed. */
  sealed: z.number(),
  /** The newest seal that holds, as a checkpoint; null where there is none. */
  checkpoint: z.string().nullable(),
  /** The seals up to this position were read. */
  sealRead: z.number(),
  /** From here on events have no seal of their own that holds; null where the last one has. */
  unproven: z.number().nullable(),
  /** The end of the log, as it was when the last seal was passed. */
  end: z.number().nullable(),
  /** When the first event was recorded that is not sealed; null where there is none. */
  unsealedSince: z.string().nullable(),
  /** As far as is known, so many events there are. */
  total: z.number(),
  /** How many things were found wrong. */
  findings: z.number(),
  isDone: z.boolean(),
});

/** How far a verification has come. */
export type Walk = Readonly<z.output<typeof walk>>;

export const beginning: Walk = {
  epoch: '',
  position: 0,
  hash: GENESIS.toString('hex'),
  sealed: 0,
  checkpoint: null,
  sealRead: 0,
  unproven: null,
  end: null,
  unsealedSince: null,
  total: 0,
  findings: 0,
  isDone: false,
};

/** As a text that can be sent to and fro. */
export function encodeWalk(it: Walk): string {
  return Buffer.from(JSON.stringify(it)).toString('base64url');
}

/** @returns undefined for a text that is none */
export function decodeWalk(text: string): Walk | undefined {
  try {
    return walk.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch {
    return undefined;
  }
}
