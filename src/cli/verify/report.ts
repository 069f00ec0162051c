import type { Finding } from '../../eventsourcing/seals/findings.ts';
import type { Checkpoint } from '../../eventsourcing/seals/log-seal.ts';
import type { Walk } from '../../eventsourcing/seals/walk.ts';
import { counted } from '../counted.ts';

/** So many findings are listed. */
export const LISTED = 20;
/** A server that runs seals within seconds. */
const LONG_MS = 5 * 60_000;

/** A checkpoint that the log was held against. */
export interface HeldAgainst {
  readonly checkpoint: Checkpoint;
  /** For people: where it comes from. */
  readonly source: string;
}

/** What is said of a log that is as it was sealed. */
export function wholeText(walk: Walk, heldAgainst: readonly HeldAgainst[], now: Date): string {
  const { position, sealed, unsealedSince, checkpoint } = walk;
  if (position === 0) return 'The log is empty.\n';
  const newer = position - sealed;
  if (sealed === 0) return `Nothing of ${counted(position, 'event')} is sealed.\n`;
  const lines = [
    `${counted(position, 'event is', 'events are')} whole and in order, as they were sealed up to event ${sealed}` +
      (newer === 0 ? '.' : `; ${counted(newer, 'newer one is', 'newer ones are')} not sealed yet.`),
    ...heldAgainst.map(
      (it) =>
        `The log holds event ${it.checkpoint.position} as it was at ${it.checkpoint.sealedAt.toISOString()}: ${it.source}.`,
    ),
  ];
  if (unsealedSince !== null && now.getTime() - Date.parse(unsealedSince) > LONG_MS)
    lines.push(
      `The first that is not sealed was recorded at ${unsealedSince}. A server that runs would have sealed it: if one does, ` +
        'see `seals` of /health/ready; if it did, its seal was taken away.',
    );
  if (checkpoint !== null)
    lines.push(
      'The newest checkpoint. Kept elsewhere, it proves with npx cartstream verify --checkpoint that the log still holds it:',
      checkpoint,
    );
  return `${lines.join('\n')}\n`;
}

/** What is said of one that is not. @param findings the first of them */
export function brokenText(walk: Walk, findings: readonly Finding[], heldAgainst: readonly HeldAgainst[]): string {
  const [first, ...others] = findings;
  if (first === undefined) return '';
  const listed = others.slice(0, LISTED - 1);
  const more = walk.findings - 1 - listed.length;
  const lines = [
    `The log is NOT as it was sealed (walked to event ${walk.position}, ${counted(walk.findings, 'finding')}). The first is:`,
    first.message,
    ...(listed.length === 0 ? [] : ['Then:', ...listed.map(({ message }) => `- ${message}`)]),
    ...(more > 0 ? [`- and ${more.toLocaleString('en')} more.`] : []),
  ];
  const isOther = findings.some(({ kind }) => kind === 'CHECKPOINT' || kind === 'CUT');
  if (isOther) lines.push(...heldAgainst.flatMap((it) => adviceOf(it, walk)));
  return `${lines.join('\n')}\n`;
}

function adviceOf({ checkpoint: { epoch, position }, source }: HeldAgainst, walk: Walk): string[] {
  const another =
    epoch === walk.epoch
      ? ''
      : ` The store begins another epoch (${walk.epoch}) than that checkpoint (${epoch}): it was restored, or exchanged for another.`;
  return [
    `It was held against event ${position}: ${source}.${another} If you restored or exchanged it yourself, see what is missing, ` +
      'and run npx cartstream verify --accept. If not, keep this store as evidence, and restore a backup.',
  ];
}
