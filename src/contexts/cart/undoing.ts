import type { Actor, ActorKind } from '../../eventsourcing/actor.ts';
import type { RecordedEvent, RecordedEventOf } from '../../eventsourcing/log/event.ts';
import type { CartEvent, cartEvents } from './events.ts';

/**
 * What undoing goes back to. A change is all that one command did. An undo is one too, and names the version that the
 * next undo goes on from: so two undos take back two changes, and what was changed between two undos is taken back before
 * what was changed before the first.
 */

/** All events that one command brought about. */
interface CartChange {
  readonly firstVersion: number;
  readonly lastVersion: number;
  /** Of its last event. */
  readonly type: CartEvent['type'];
  readonly actor: Actor;
  /** If it was an undo. */
  readonly nextUndoAt: number | null;
}

/** What is to be done to undo the newest change. `past`: the contents as of `toVersion` are wanted. */
export type UndoPlan =
  | { readonly kind: 'UNDO'; readonly toVersion: number; readonly nextUndoAt: number }
  | { readonly kind: 'NOTHING' }
  | {
      readonly kind: 'FOREIGN' | 'BOUNDARY';
      readonly type: string;
      readonly version: number;
      readonly madeBy: ActorKind;
    };

/** Others than the cart took part in these: what they did would not be undone with it. */
const BOUNDARIES: ReadonlySet<string> = new Set<CartEvent['type']>([
  'CartMergeRequested',
  'CartLinesHandedOver',
  'CartLinesTakenIn',
  'CartLinesTakenBack',
  'CartMerged',
  'CartCheckOutStarted',
  'CartCheckedOut',
  'CartCheckOutCancelled',
]);

/** Nobody's change: the shop noted that a cart lies there. */
const NO_CHANGE: CartEvent['type'] = 'CartAbandoned';

/**
 * @param newest the version of the cart
 * @param actor who wants to undo
 * @param eventsUpTo the cart's events up to a version, the newest first
 */
export async function planUndo(
  newest: number,
  actor: Actor,
  eventsUpTo: (version: number) => AsyncIterable<RecordedEvent>,
): Promise<UndoPlan> {
  const last = await changeUpTo(newest, eventsUpTo);
  if (!canBeUndone(last, actor)) return whyNot(last);
  const change = last.nextUndoAt === null ? last : await changeUpTo(last.nextUndoAt, eventsUpTo);
  if (!canBeUndone(change, actor)) return whyNot(change);
  const toVersion = change.firstVersion - 1;
  const before = await changeUpTo(toVersion, eventsUpTo);
  return { kind: 'UNDO', toVersion, nextUndoAt: before?.nextUndoAt ?? toVersion };
}

async function changeUpTo(
  version: number,
  eventsUpTo: (version: number) => AsyncIterable<RecordedEvent>,
): Promise<CartChange | undefined> {
  let found: CartChange | undefined;
  let command: string | null = null;
  for await (const recorded of eventsUpTo(version)) {
    const event = recorded as RecordedEventOf<(typeof cartEvents)[number]>;
    if (found === undefined) {
      if (event.type === NO_CHANGE) continue;
      const nextUndoAt = event.type === 'CartRestored' ? event.data.nextUndoAt : null;
      const { type, actor, version: lastVersion } = event;
      found = { firstVersion: lastVersion, lastVersion, type, actor, nextUndoAt };
      command = event.commandId;
    } else if (event.commandId === command && command !== null) {
      found = { ...found, firstVersion: event.version };
    } else {
      break;
    }
  }
  return found;
}

function canBeUndone(change: CartChange | undefined, by: Actor): change is CartChange {
  if (change === undefined || hasBegunCart(change) || BOUNDARIES.has(change.type)) return false;
  return by.kind === change.actor.kind && by.id === change.actor.id;
}

function whyNot(change: CartChange | undefined): UndoPlan {
  if (change === undefined || hasBegunCart(change)) return { kind: 'NOTHING' };
  const { type, lastVersion: version, actor } = change;
  return { kind: BOUNDARIES.has(type) ? 'BOUNDARY' : 'FOREIGN', type, version, madeBy: actor.kind };
}

function hasBegunCart({ firstVersion }: CartChange): boolean {
  return firstVersion === 1;
}
