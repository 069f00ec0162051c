import type { Actor } from '../../eventsourcing/actor.ts';
import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { throwAsFault } from '../../graphql/time-travel.ts';
import { isUuid } from '../../platform/column-values.ts';
import type { cartEvents } from './events.ts';
import { mayUse } from './policy.ts';
import type { PastContents, UndoStep } from './restore-commands.ts';
import { type CartState, evolveCart, type KnownCart } from './state.ts';
import { planUndo } from './undoing.ts';

/** Of a cart that is not there, or not the caller's: its own command tells them so. */
const NOTHING: PastContents = { lines: [], couponCode: null };
/** Events that are read at a time, backwards. */
const PAGE = 100;

/**
 * What was in a cart at a version.
 * @returns null where it has had no such version
 * @throws the faults of a look into the past
 */
export async function contentsAt(
  cartId: string,
  version: number,
  { engine, actor }: RequestContext,
): Promise<PastContents | null> {
  // What is no version is refused for what it is, by the command.
  if (!isUuid(cartId) || version < 1) return NOTHING;
  const found = await cartAt(cartId, version, engine).catch(throwAsFault);
  const { state } = found;
  if (state.status === 'unknown' || !mayUse(actor, state.customerId)) return NOTHING;
  return found.version < version ? null : contentsOf(state);
}

/**
 * What undoing the newest change takes.
 * @returns with the version that it was found at; 0 of a cart that is not there, or not the caller's
 * @throws the faults of a look into the past
 */
export async function undoStepOf(
  cartId: string,
  { engine, actor }: RequestContext,
): Promise<{ readonly readAt: number; readonly step: UndoStep }> {
  const nothing = { readAt: 0, step: { kind: 'NOTHING' } } as const;
  if (!isUuid(cartId)) return nothing;
  const { streams } = engine.timeTravel;
  const streamId = streamIdOf('cart', cartId);
  const beginning = await cartAt(cartId, 1, engine).catch(throwAsFault);
  if (!isFor(actor, beginning.state)) return nothing;
  const readAt = await streams.newestVersion(streamId);
  const plan = await planUndo(readAt, actor, (version) => backwards(streamId, version, streams));
  if (plan.kind !== 'UNDO') return { readAt, step: plan };
  const { state } = await cartAt(cartId, plan.toVersion, engine).catch(throwAsFault);
  return { readAt, step: { ...plan, past: state.status === 'unknown' ? NOTHING : contentsOf(state) } };
}

function isFor(actor: Actor, cart: CartState): boolean {
  return cart.status !== 'unknown' && mayUse(actor, cart.customerId);
}

function cartAt(cartId: string, version: number, engine: RequestContext['engine']) {
  const fold = {
    initialState: { status: 'unknown' } as CartState,
    evolve: (state: CartState, event: RecordedEvent) =>
      evolveCart(state, event as RecordedEventOf<(typeof cartEvents)[number]>),
  };
  return engine.timeTravel.stateAsOf(fold, streamIdOf('cart', cartId), version);
}

function contentsOf({ lines, coupon }: KnownCart): PastContents {
  return { lines: [...lines].map(([sku, line]) => ({ sku, ...line })), couponCode: coupon?.code ?? null };
}

async function* backwards(
  streamId: string,
  version: number,
  streams: RequestContext['engine']['timeTravel']['streams'],
): AsyncGenerator<RecordedEvent> {
  for (let upTo = version; upTo > 0; upTo -= PAGE) {
    yield* (await streams.read(streamId, Math.max(0, upTo - PAGE), upTo)).toReversed();
  }
}
