import type { ProcessEffect } from './process-manager.ts';

/** What an operator's decision does to the queue and the dead letters. If it is no longer possible, it is decided again. */
export type OperatorEffect =
  /** Takes a command out of the queue that is not run yet. */
  | { readonly kind: 'cancelCommand'; readonly commandId: string }
  | { readonly kind: 'retryDeadLetters'; readonly ids: readonly string[] }
  | { readonly kind: 'dropDeadLetter'; readonly id: string; readonly reason: string }
  /** Begins the rebuild of a projection, or cancels it: the one that is counted as `run`. */
  | { readonly kind: 'beginRebuild' | 'cancelRebuild'; readonly projection: string; readonly run: number };

/** Destroys the keys of a subject: of an event that says so (`forgets`), and of no other. */
export interface ForgettingEffect {
  readonly kind: 'forgetSubject';
  readonly subject: string;
}

/** What an event brings about beside the change of its own aggregate, in the same append. */
export type Effect = ProcessEffect | OperatorEffect | ForgettingEffect;

export interface EffectContext {
  readonly aggregateId: string;
  readonly now: Date;
}
