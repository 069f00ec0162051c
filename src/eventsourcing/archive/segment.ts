import { promisify } from 'node:util';
import { deflate, inflate } from 'node:zlib';
import { positionOfLine } from '../log/event-row.ts';

/** So many positions of the log share a row: enough to compress well, and few enough to be opened for the sake of one. */
export const SEGMENT_SIZE = 256;

const deflated = promisify(deflate);
const inflated = promisify(inflate);

/** The segment that a position lies in. */
export function segmentOf(position: number): number {
  return Math.floor((position - 1) / SEGMENT_SIZE);
}

/** Stored lines as they are kept: in order of position, compressed with zlib (RFC 1950). A line has no line break in it. */
export function packSegment(lines: readonly string[]): Promise<Buffer> {
  return deflated(Buffer.from(lines.toSorted((a, b) => positionOfLine(a) - positionOfLine(b)).join('\n')));
}

/** @returns the lines, in order of position */
export async function unpackSegment(packed: Uint8Array): Promise<string[]> {
  return (await inflated(packed)).toString('utf8').split('\n');
}
