import { type CartMessage, type CartRequest, cartMessage, cartSourcesOf } from '../contexts/cart/messages.ts';
import type { MovedLine } from '../contexts/values.ts';
import type { Actor } from '../eventsourcing/actor.ts';
import type { Rejection } from '../eventsourcing/commands/rejection.ts';
import type {
  CommandRefusal,
  ProcessContext,
  ProcessEffect,
  ProcessInput,
  ProcessManager,
} from '../eventsourcing/processes/process-manager.ts';
import { type MergeEvent, mergeEvents, viewOfMerge } from './merge-events.ts';
import { rejectionOf } from './refusals.ts';

interface Merge {
  readonly fromCartId: string;
  readonly intoCartId: string;
  readonly requestedBy: Actor;
}

/** The step that is under way. */
export type MergeState =
  | { readonly step: 'not begun' }
  | { readonly step: 'ended' }
  | (Merge & { readonly step: 'hand over' })
  | (Merge & { readonly step: 'take in'; readonly currency: string; readonly lines: readonly MovedLine[] })
  /** `retryAt`: it failed, and is tried again then; null while the command is out. */
  | (Merge & { readonly step: 'complete'; readonly retryAt: string | null })
  | (Merge & { readonly step: 'take back'; readonly retryAt: string | null; readonly rejection: Rejection });

/** How long a step that has to be done, and was not, is left alone. */
const RETRY_AFTER_MS = 60_000;
const TIMER = 'retry';

/**
 * Moves the lines of one cart into another: hand over, take in, complete; or hand over, take back. One instance for each
 * merge, which has the id of the command that asked for it.
 *
 * From handing over on, the lines are held by a cart that nobody can change. Whether they are taken in is the other cart's
 * to say; what follows from that, completing or taking back, has to be done, and is tried until it is.
 */
export const mergingCarts: ProcessManager<MergeState, CartMessage, MergeEvent> = {
  name: 'merging-carts',
  description: 'Moves the lines of one cart into another, each of them once.',
  events: mergeEvents,
  eventTypes: cartSourcesOf(
    'CartMergeRequested',
    'CartLinesHandedOver',
    'CartLinesTakenIn',
    'CartMerged',
    'CartLinesTakenBack',
  ),
  instanceOf(event) {
    const message = cartMessage(event);
    return 'mergeId' in message ? message.mergeId : undefined;
  },
  messageOf: cartMessage,
  endsWith: ['CartMergeCompleted', 'CartMergeFailed', 'CartMergeUndone'],
  initialState: { step: 'not begun' },
  decide(input, state, context) {
    switch (input.kind) {
      case 'message':
        return onMessage(input.message, state);
      case 'timer':
        return onTimer(input, state);
      case 'refusal':
        return onRefusal(input.refusal, state, context);
      default:
        return input satisfies never;
    }
  },
  evolve,
  effectsOf,
  view: viewOfMerge,
};

function onMessage(message: CartMessage, state: MergeState): readonly MergeEvent[] {
  switch (message.type) {
    case 'CartMergeRequested': {
      if (state.step !== 'not begun') return [];
      const { fromCartId, intoCartId, requestedBy } = message;
      const requester = { requestedByKind: requestedBy.kind, requestedById: requestedBy.id };
      return [{ type: 'CartMergeStarted', data: { fromCartId, intoCartId, ...requester } }];
    }
    case 'CartLinesHandedOver': {
      if (state.step !== 'hand over') return [];
      return [{ type: 'MergeLinesHandedOver', data: { currency: message.currency, lines: [...message.lines] } }];
    }
    case 'CartLinesTakenIn':
      return state.step === 'take in' ? [{ type: 'MergeLinesTakenIn', data: { intoCartId: state.intoCartId } }] : [];
    case 'CartMerged': {
      if (state.step !== 'complete') return [];
      const { fromCartId, intoCartId } = state;
      return [{ type: 'CartMergeCompleted', data: { fromCartId, intoCartId } }];
    }
    case 'CartLinesTakenBack':
      return state.step === 'take back' ? [{ type: 'CartMergeUndone', data: { rejection: state.rejection } }] : [];
    default:
      return [];
  }
}

function onRefusal(refusal: CommandRefusal, state: MergeState, { now }: ProcessContext): readonly MergeEvent[] {
  if (state.step === 'not begun' || state.step === 'ended' || refusal.name !== COMMANDS[state.step]) return [];
  const rejection = rejectionOf(refusal, 'The carts were not merged, since ');
  switch (state.step) {
    case 'hand over':
      return [{ type: 'CartMergeFailed', data: { rejection } }];
    case 'take in':
      return [{ type: 'MergeLinesRefused', data: { rejection } }];
    case 'complete':
    case 'take back': {
      if (state.retryAt !== null) return [];
      const retryAt = new Date(now.getTime() + RETRY_AFTER_MS).toISOString();
      return [{ type: 'MergeStepFailed', data: { command: COMMANDS[state.step], detail: rejection.message, retryAt } }];
    }
    default:
      return state satisfies never;
  }
}

function onTimer({ dueAt }: Extract<ProcessInput<CartMessage>, { kind: 'timer' }>, state: MergeState): MergeEvent[] {
  if (state.step !== 'complete' && state.step !== 'take back') return [];
  if (dueAt.toISOString() !== state.retryAt) return [];
  return [{ type: 'MergeStepRetried', data: { command: COMMANDS[state.step] } }];
}

const COMMANDS = {
  'hand over': 'HandOverCartLines',
  'take in': 'TakeInCartLines',
  complete: 'CompleteCartMerge',
  'take back': 'TakeBackCartLines',
} as const;

function evolve(state: MergeState, event: MergeEvent): MergeState {
  if (event.type === 'CartMergeStarted') {
    const { fromCartId, intoCartId, requestedByKind: kind, requestedById: id } = event.data;
    return { step: 'hand over', fromCartId, intoCartId, requestedBy: { kind, id } };
  }
  if (state.step === 'not begun' || state.step === 'ended') return state;
  const { fromCartId, intoCartId, requestedBy } = state;
  const merge = { fromCartId, intoCartId, requestedBy };
  switch (event.type) {
    case 'MergeLinesHandedOver':
      return { ...merge, step: 'take in', currency: event.data.currency, lines: event.data.lines };
    case 'MergeLinesTakenIn':
      return { ...merge, step: 'complete', retryAt: null };
    case 'MergeLinesRefused':
      return { ...merge, step: 'take back', retryAt: null, rejection: event.data.rejection };
    case 'MergeStepFailed':
      return 'retryAt' in state ? { ...state, retryAt: event.data.retryAt } : state;
    case 'MergeStepRetried':
      return 'retryAt' in state ? { ...state, retryAt: null } : state;
    case 'CartMergeCompleted':
    case 'CartMergeFailed':
    case 'CartMergeUndone':
      return { step: 'ended' };
    default:
      return event satisfies never;
  }
}

function effectsOf(event: MergeEvent, state: MergeState, { instanceId }: ProcessContext): readonly ProcessEffect[] {
  switch (event.type) {
    case 'CartMergeStarted':
    case 'MergeLinesHandedOver':
    case 'MergeLinesTakenIn':
    case 'MergeLinesRefused':
    case 'MergeStepRetried':
      return requestsOf(state, instanceId).map((command) => ({ kind: 'send', command }));
    case 'MergeStepFailed':
      return [{ kind: 'setTimer', timer: TIMER, dueAt: new Date(event.data.retryAt) }];
    case 'CartMergeCompleted':
      return [{ kind: 'conclude', commandId: instanceId }];
    case 'CartMergeFailed':
    case 'CartMergeUndone':
      return [{ kind: 'conclude', commandId: instanceId, rejection: event.data.rejection }];
    default:
      return event satisfies never;
  }
}

/** What has to be asked for, so that the step gets done. */
function requestsOf(state: MergeState, mergeId: string): CartRequest[] {
  if (state.step === 'not begun' || state.step === 'ended') return [];
  const { fromCartId, intoCartId, requestedBy } = state;
  switch (state.step) {
    case 'hand over':
      return [{ type: 'HandOverCartLines', data: { cartId: fromCartId, intoCartId, mergeId, requestedBy } }];
    case 'take in': {
      const { currency, lines } = state;
      const data = { cartId: intoCartId, fromCartId, mergeId, currency, lines: [...lines], requestedBy };
      return [{ type: 'TakeInCartLines', data }];
    }
    case 'complete':
      return [{ type: 'CompleteCartMerge', data: { cartId: fromCartId, mergeId } }];
    case 'take back':
      return [{ type: 'TakeBackCartLines', data: { cartId: fromCartId, mergeId } }];
    default:
      return state satisfies never;
  }
}
