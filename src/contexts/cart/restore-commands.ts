import { z } from 'zod';
import { ACTOR_KINDS } from '../../eventsourcing/actor.ts';
import { defineCommand } from '../../eventsourcing/commands/aggregate.ts';
import { MAX_INT, movedLine } from '../values.ts';
import { couponKey, productKey } from './facts.ts';

const cartId = z.uuid('must be the id that createCart answered with');
const version = z.number().int('must be a whole number').min(1, 'must be at least 1').max(MAX_INT);

/**
 * What was in a cart at a version. It comes with the command, read from the log: the past never changes, so whenever the
 * command is decided, it is decided on the same.
 */
const contents = z.object(
  { lines: z.array(movedLine), couponCode: z.string().nullable() },
  { error: 'must be a version that the cart has had' },
);
export type PastContents = Readonly<z.output<typeof contents>>;

/** A change, as far as it says why it cannot be undone: `type` is that of its last event. */
const change = { type: z.string(), version, madeBy: z.enum(ACTOR_KINDS) };

const undoStep = z.discriminatedUnion('kind', [
  /** The cart is to have what it had then; the next undo goes on at `nextUndoAt`. */
  z.object({ kind: z.literal('UNDO'), toVersion: version, nextUndoAt: version, past: contents }),
  /** Nothing was changed, or all of it is undone. */
  z.object({ kind: z.literal('NOTHING') }),
  /** It was somebody else's. */
  z.object({ kind: z.literal('FOREIGN'), ...change }),
  /** Others than the cart alone took part in it. */
  z.object({ kind: z.literal('BOUNDARY'), ...change }),
]);
export type UndoStep = Readonly<z.output<typeof undoStep>>;

function factsOf({ lines, couponCode }: PastContents): readonly string[] {
  return [...lines.map(({ sku }) => productKey(sku)), ...(couponCode === null ? [] : [couponKey(couponCode)])];
}

export const restoreCart = defineCommand({
  name: 'RestoreCart',
  description:
    'Gives a cart back what was in it at an earlier version. Lines that were there all along keep their price; what has to be put in again is checked like any addition, and has the price of now. All of it is done, or nothing. A coupon that cannot be used any more is left out.',
  audience: 'owner',
  input: z.object({ cartId, toVersion: version, past: contents }),
  aggregateId: (data) => data.cartId,
  facts: ({ past }) => factsOf(past),
});

export const undoCartChange = defineCommand({
  name: 'UndoCartChange',
  description:
    'Takes back the newest change of a cart, if it was your own; again, the one before it. A merge or a check-out is not undone, nor what was before it.',
  audience: 'owner',
  /** `readAt`: the version whose history `step` was found in; 0 where there is nothing for the caller. */
  input: z.object({ cartId, readAt: z.number().int().min(0), step: undoStep }),
  aggregateId: (data) => data.cartId,
  facts: ({ step }) => (step.kind === 'UNDO' ? factsOf(step.past) : []),
});
