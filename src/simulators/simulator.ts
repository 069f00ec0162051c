import { createHash } from 'node:crypto';
import { resolve } from 'node:path';

/** An outside party that is only played. */
export interface Simulator {
  readonly url: string;
  stop(): Promise<void>;
}

/** A simulator's port belongs to something else. Its message says what to do. */
export class SimulatorPortTaken extends Error {
  override readonly name = 'SimulatorPortTaken';
}

/** What `/health` of a simulator says of its ledger: whether it is the one of this folder. */
export function ledgerMark(ledgerFile: string): string {
  return createHash('sha256').update(resolve(ledgerFile)).digest('base64url').slice(0, 16);
}
