import { type Actor, actsForStaff } from '../../eventsourcing/actor.ts';
import { illegalState } from '../../eventsourcing/commands/rejection.ts';
import { limitExceeded } from '../rejections.ts';

export const MAX_LINES = 500;
export const MAX_QUANTITY = 10_000;

/** A guest's cart is for whoever knows its id; a customer's for the customer, and for staff. */
export function mayUse(actor: Actor, customerId: string | null): boolean {
  return customerId === null || actsForStaff(actor) || (actor.kind === 'CUSTOMER' && actor.id === customerId);
}

export function tooManyLines() {
  return limitExceeded(MAX_LINES, `A cart has at most ${MAX_LINES} lines.`);
}

export function tooManyPieces(sku: string) {
  return limitExceeded(MAX_QUANTITY, `A cart has at most ${MAX_QUANTITY} pieces of a product, here "${sku}".`);
}

export function notSold(sku: string) {
  return illegalState('INACTIVE', `The product "${sku}" is not sold any more.`);
}
