import { type Actor, actsForStaff } from '../eventsourcing/actor.ts';

/** A guest's cart or order is for whoever knows its id; a customer's for the customer, and for staff. */
export function mayUse(actor: Actor, ownerId: string | null): boolean {
  return ownerId === null || actsForStaff(actor) || (actor.kind === 'CUSTOMER' && actor.id === ownerId);
}

/** Whose personal data is a caller's own; null for who has none here. */
export function subjectOf({ kind, id }: Actor): string | null {
  return kind === 'CUSTOMER' || kind === 'GUEST' ? id : null;
}

/** Somebody's personal data is for themselves, and for staff. */
export function mayRead(actor: Actor, customerId: string): boolean {
  return actsForStaff(actor) || subjectOf(actor) === customerId;
}
