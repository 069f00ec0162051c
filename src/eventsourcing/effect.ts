import type { ProcessEffect } from './process-manager.ts';

/** What an operator's decision does to the queue and the dead letters. If it is no longer possible, it is decided again. */
export type OperatorEffect =
  /** Takes a command out of the queue that is not run yet. */
  | { readonly kind: 'cancelCommand'; readonly commandId: string }
  | { readonly kind: 'retryDeadLetters'; readonly ids: readonly string[] }
  | { readonly kind: 'dropDeadLetter'; readonly id: string; readonly reason: string };

/** What an event brings about beside the change of its own aggregate, in the same append. */
export type Effect = ProcessEffect | OperatorEffect;

export interface EffectContext {
  readonly aggregateId: string;
  readonly now: Date;
}
