import { z } from 'zod';
import {
  type CartMessage,
  type CartRequest,
  cartMessage,
  cartSourcesOf,
  cartStreamOf,
} from '../contexts/cart/messages.ts';
import { defineEvent, type EventOf } from '../eventsourcing/log/event.ts';
import type {
  ProcessEffect,
  ProcessInput,
  ProcessManager,
  ProcessStepView,
} from '../eventsourcing/processes/process-manager.ts';

const cartVersion = z.number().int().describe('The newest version of the cart that is known of.');
const until = z.iso.datetime().meta({ description: 'When the cart is abandoned, if it is not changed.' });

const cartWatchBegan = defineEvent({
  type: 'CartWatchBegan',
  schemaVersion: 1,
  description: 'A cart is there that somebody may come back to, or not.',
  data: z.object({ cartVersion, until }),
});

const cartWatchProlonged = defineEvent({
  type: 'CartWatchProlonged',
  schemaVersion: 1,
  description: 'The cart was changed meanwhile, or could not be abandoned: it is looked at again later.',
  data: z.object({ cartVersion, until }),
});

const cartFoundIdle = defineEvent({
  type: 'CartFoundIdle',
  schemaVersion: 1,
  description: 'Nobody changed the cart for so long that it is abandoned now.',
  data: z.object({ cartVersion }),
});

const cartWatchEnded = defineEvent({
  type: 'CartWatchEnded',
  schemaVersion: 1,
  description: 'The cart is not one any more that could be abandoned.',
  data: z.object({
    cartVersion,
    reason: z
      .enum(['ABANDONED', 'MERGED', 'CHECKING_OUT'])
      .meta({ description: 'ABANDONED, MERGED with another cart, or CHECKING_OUT: becoming an order.' }),
  }),
});

const watchEvents = [cartWatchBegan, cartWatchProlonged, cartFoundIdle, cartWatchEnded] as const;
export type WatchEvent = EventOf<(typeof watchEvents)[number]>;

export type WatchState =
  | { readonly status: 'unwatched'; readonly cartVersion: number }
  /** `idle`: the time was up, and the cart was asked to be abandoned. */
  | {
      readonly status: 'watched' | 'idle';
      readonly cartVersion: number;
      readonly until: string;
    };

/** The time that is up when nobody came back. */
const TIMER = 'abandon';

/**
 * Finds the carts that nobody changed for some time. One instance for each cart.
 *
 * Messages may come late, since a newer one was looked at before them: whatever is older than what is known says nothing.
 */
export function abandonedCarts({
  afterMs,
}: {
  readonly afterMs: number;
}): ProcessManager<WatchState, CartMessage, WatchEvent> {
  return {
    name: 'abandoned-carts',
    description: 'Abandons a cart that nobody changes for some time.',
    events: watchEvents,
    eventTypes: cartSourcesOf(
      'CartOpened',
      'CartReopened',
      'CartLinesTakenBack',
      'CartAbandoned',
      'CartLinesHandedOver',
      'CartMerged',
      'CartCheckOutRequested',
      'CartCheckedOut',
      'CartCheckOutCancelled',
    ),
    instanceOf: (event) => cartMessage(event).cartId,
    messageOf: cartMessage,
    latest: {
      // All others: whatever raises the version must be known of, or the cart cannot be abandoned at its version.
      eventTypes: cartSourcesOf('CartChanged', 'CartMergeRequested', 'CartLinesTakenIn'),
      streamOf: cartStreamOf,
      messageOf: cartMessage,
    },
    endsWith: ['CartWatchEnded'],
    initialState: { status: 'unwatched', cartVersion: 0 },
    decide: (input, state, { now }) => decide(input, state, now, afterMs),
    evolve,
    effectsOf: (event, _state, { instanceId }) => effectsOf(event, instanceId),
    view,
  };
}

function decide(
  input: ProcessInput<CartMessage>,
  state: WatchState,
  now: Date,
  afterMs: number,
): readonly WatchEvent[] {
  switch (input.kind) {
    case 'message':
      return onMessage(input.message, new Date(input.at.getTime() + afterMs).toISOString(), state);
    case 'timer': {
      const isDue = state.status === 'watched' && input.dueAt.toISOString() === state.until;
      return isDue ? [{ type: 'CartFoundIdle', data: { cartVersion: state.cartVersion } }] : [];
    }
    case 'refusal': {
      // It was changed just then, and is known to be watched again; or something broke, and may work the next time.
      if (state.status !== 'idle') return [];
      const data = { cartVersion: state.cartVersion, until: new Date(now.getTime() + afterMs).toISOString() };
      return [{ type: 'CartWatchProlonged', data }];
    }
    default:
      return input satisfies never;
  }
}

function onMessage({ type, version: cartVersion }: CartMessage, until: string, state: WatchState): WatchEvent[] {
  if (cartVersion <= state.cartVersion) return [];
  switch (type) {
    case 'CartAbandoned':
      return state.status === 'unwatched'
        ? []
        : [{ type: 'CartWatchEnded', data: { cartVersion, reason: 'ABANDONED' } }];
    case 'CartLinesHandedOver':
    case 'CartMerged':
      return state.status === 'unwatched' ? [] : [{ type: 'CartWatchEnded', data: { cartVersion, reason: 'MERGED' } }];
    case 'CartCheckOutRequested':
    case 'CartCheckedOut':
      return state.status === 'unwatched'
        ? []
        : [{ type: 'CartWatchEnded', data: { cartVersion, reason: 'CHECKING_OUT' } }];
    case 'CartOpened':
    case 'CartChanged':
    case 'CartReopened':
    case 'CartMergeRequested':
    case 'CartLinesTakenIn':
    case 'CartLinesTakenBack':
    case 'CartCheckOutCancelled':
      if (state.status === 'unwatched') return [{ type: 'CartWatchBegan', data: { cartVersion, until } }];
      // After a refusal it may be watched for longer already. The version has to be known all the same.
      return [{ type: 'CartWatchProlonged', data: { cartVersion, until: until > state.until ? until : state.until } }];
    default:
      return type satisfies never;
  }
}

function evolve(state: WatchState, event: WatchEvent): WatchState {
  switch (event.type) {
    case 'CartWatchBegan':
    case 'CartWatchProlonged':
      return { status: 'watched', ...event.data };
    case 'CartFoundIdle':
      return state.status === 'watched' ? { ...state, status: 'idle' } : state;
    case 'CartWatchEnded':
      return { status: 'unwatched', cartVersion: event.data.cartVersion };
    default:
      return event satisfies never;
  }
}

function effectsOf(event: WatchEvent, cartId: string): readonly ProcessEffect[] {
  switch (event.type) {
    case 'CartWatchBegan':
    case 'CartWatchProlonged':
      return [{ kind: 'setTimer', timer: TIMER, dueAt: new Date(event.data.until) }];
    case 'CartFoundIdle': {
      const command: CartRequest = { type: 'AbandonCart', data: { cartId } };
      return [{ kind: 'send', command, expectedVersion: event.data.cartVersion }];
    }
    case 'CartWatchEnded':
      return [{ kind: 'cancelTimer', timer: TIMER }];
    default:
      return event satisfies never;
  }
}

function view(event: WatchEvent): ProcessStepView {
  switch (event.type) {
    case 'CartWatchBegan':
    case 'CartWatchProlonged':
      return { step: 'watch', stepStatus: 'WAITING', detail: `until ${event.data.until}`, status: 'RUNNING' };
    case 'CartFoundIdle':
      return { step: 'abandon', stepStatus: 'WAITING', detail: null, status: 'RUNNING' };
    case 'CartWatchEnded': {
      const { reason } = event.data;
      const step = reason === 'ABANDONED' ? 'abandon' : 'watch';
      return { step, stepStatus: 'DONE', detail: reason, status: 'COMPLETED' };
    }
    default:
      return event satisfies never;
  }
}
