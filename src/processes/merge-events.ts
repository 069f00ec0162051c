import { z } from 'zod';
import { currency, movedLine } from '../contexts/values.ts';
import { ACTOR_KINDS } from '../eventsourcing/actor.ts';
import { storedRejection } from '../eventsourcing/commands/rejection.ts';
import { defineEvent, type EventOf } from '../eventsourcing/log/event.ts';
import type { ProcessStepView } from '../eventsourcing/processes/process-manager.ts';

/** What merging carts remembers, and how it looks to whoever watches it. */

const fromCartId = z.string().meta({ description: 'The cart that the lines come from.', idOf: 'Cart' });
const intoCartId = z.string().meta({ description: 'The cart that the lines move into.', idOf: 'Cart' });
const rejection = storedRejection.meta({
  description: 'Why the carts were not merged.',
  graphql: 'JSON',
  audience: 'admin',
});
const command = z.enum(['CompleteCartMerge', 'TakeBackCartLines']).describe('The command that is to be sent again.');

const cartMergeStarted = defineEvent({
  type: 'CartMergeStarted',
  schemaVersion: 1,
  description: 'The one cart is asked for its lines.',
  data: z.object({
    fromCartId,
    intoCartId,
    requestedByKind: z.enum(ACTOR_KINDS).meta({ description: 'For what kind of someone.', audience: 'admin' }),
    requestedById: z.string().nullable().meta({ description: 'For whom exactly.', audience: 'admin' }),
  }),
});

const mergeLinesHandedOver = defineEvent({
  type: 'MergeLinesHandedOver',
  schemaVersion: 1,
  description: 'The one cart holds its lines for the other, which is asked to take them in.',
  data: z.object({
    currency,
    lines: z.array(movedLine).meta({ description: 'Everything that is to move.', audience: 'admin' }),
  }),
});

const mergeLinesTakenIn = defineEvent({
  type: 'MergeLinesTakenIn',
  schemaVersion: 1,
  description: 'The lines are in the other cart. The one that they come from is asked to end.',
  data: z.object({ intoCartId }),
});

const cartMergeCompleted = defineEvent({
  type: 'CartMergeCompleted',
  schemaVersion: 1,
  description: 'Everything is in one cart.',
  data: z.object({ fromCartId, intoCartId }),
});

const cartMergeFailed = defineEvent({
  type: 'CartMergeFailed',
  schemaVersion: 1,
  description: 'The one cart did not hand its lines over: nothing was moved.',
  data: z.object({ rejection }),
});

const mergeLinesRefused = defineEvent({
  type: 'MergeLinesRefused',
  schemaVersion: 1,
  description: 'The other cart did not take the lines in. The one that they come from is asked to take them back.',
  data: z.object({ rejection }),
});

const cartMergeUndone = defineEvent({
  type: 'CartMergeUndone',
  schemaVersion: 1,
  description: 'The lines are back where they were.',
  data: z.object({ rejection }),
});

const mergeStepFailed = defineEvent({
  type: 'MergeStepFailed',
  schemaVersion: 1,
  description: 'A step that has to be done was not. It is tried again later: no line may stay between the carts.',
  data: z.object({
    command,
    detail: z.string().describe('What went wrong.'),
    retryAt: z.iso.datetime().describe('When it is tried again.'),
  }),
});

const mergeStepRetried = defineEvent({
  type: 'MergeStepRetried',
  schemaVersion: 1,
  description: 'A step that failed is tried again.',
  data: z.object({ command }),
});

export const mergeEvents = [
  cartMergeStarted,
  mergeLinesHandedOver,
  mergeLinesTakenIn,
  cartMergeCompleted,
  cartMergeFailed,
  mergeLinesRefused,
  cartMergeUndone,
  mergeStepFailed,
  mergeStepRetried,
] as const;
export type MergeEvent = EventOf<(typeof mergeEvents)[number]>;

const STEPS = { CompleteCartMerge: 'complete', TakeBackCartLines: 'take back' } as const;

export function viewOfMerge(event: MergeEvent): ProcessStepView {
  switch (event.type) {
    case 'CartMergeStarted':
      return { step: 'hand over', stepStatus: 'WAITING', detail: null, status: 'RUNNING' };
    case 'MergeLinesHandedOver': {
      const detail = `${event.data.lines.length} lines`;
      return { step: 'hand over', stepStatus: 'DONE', detail, status: 'RUNNING' };
    }
    case 'MergeLinesTakenIn':
      return { step: 'take in', stepStatus: 'DONE', detail: null, status: 'RUNNING' };
    case 'CartMergeCompleted':
      return { step: 'complete', stepStatus: 'DONE', detail: null, status: 'COMPLETED' };
    case 'CartMergeFailed': {
      const detail = event.data.rejection.message;
      return { step: 'hand over', stepStatus: 'FAILED', detail, status: 'COMPENSATED' };
    }
    case 'MergeLinesRefused':
      return { step: 'take in', stepStatus: 'FAILED', detail: event.data.rejection.message, status: 'RUNNING' };
    case 'CartMergeUndone':
      return { step: 'hand over', stepStatus: 'UNDONE', detail: null, status: 'COMPENSATED' };
    case 'MergeStepFailed': {
      const { command, detail, retryAt } = event.data;
      const step = STEPS[command];
      return { step, stepStatus: 'FAILED', detail: `${detail} Next try: ${retryAt}.`, status: 'RUNNING' };
    }
    case 'MergeStepRetried':
      return { step: STEPS[event.data.command], stepStatus: 'WAITING', detail: null, status: 'RUNNING' };
    default:
      return event satisfies never;
  }
}
