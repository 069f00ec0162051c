import type { Finding } from './findings.ts';
import type { Checkpoint } from './log-seal.ts';
import { VerificationStep, type VerifierParts } from './verification-step.ts';
import { beginning, type Walk } from './walk.ts';

export interface VerifiedStep {
  /** Where the next step goes on; its `isDone` says whether there is none. */
  readonly walk: Walk;
  /** What this step found, in the order of the log. */
  readonly findings: readonly Finding[];
}

/**
 * Walks the log from its first event to its last, and compares it with its seals. What it walked is in memory a stretch at a
 * time; each step says where the next goes on, so that it can be done from elsewhere, and beside everything else.
 */
export class LogVerifier {
  readonly #parts: VerifierParts;

  constructor(parts: VerifierParts) {
    this.#parts = parts;
  }

  /**
   * @param from undefined for the first step
   * @param checkpoints that were kept elsewhere: the log must hold them. The same for each step
   */
  async step(from: Walk | undefined, checkpoints: readonly Checkpoint[]): Promise<VerifiedStep> {
    const step = new VerificationStep(this.#parts, checkpoints, { ...(from ?? beginning) });
    if (from === undefined) await step.begin();
    await step.run();
    await step.compareLists();
    return { walk: step.walk, findings: step.findings };
  }
}
