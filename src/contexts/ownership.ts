import { type Actor, actsForStaff } from '../eventsourcing/actor.ts';

/** A guest's cart or order is for whoever knows its id; a customer's for the customer, and for staff. */
export function mayUse(actor: Actor, ownerId: string | null): boolean {
  return ownerId === null || actsForStaff(actor) || (actor.kind === 'CUSTOMER' && actor.id === ownerId);
}

/** Tokens may name a guest like a customer: so the two are told apart wherever something belongs to one of them. */
const OF_GUESTS = 'guest:';

/** Whose personal data is a caller's own: what `customerId` is everywhere. Null for who has none here. */
export function subjectOf({ kind, id }: Actor): string | null {
  if (kind === 'GUEST' && id !== null) return `${OF_GUESTS}${id}`;
  return kind === 'CUSTOMER' ? id : null;
}

/** Whether a customer of this id would be taken for a guest. */
export function looksLikeGuest(customerId: string): boolean {
  return customerId.startsWith(OF_GUESTS);
}

/** As whom somebody acts, by whose personal data is theirs. Who checked a cart out and is nobody known never acts so. */
export function actorOf(customerId: string): { readonly kind: 'CUSTOMER' | 'GUEST'; readonly id: string } {
  return looksLikeGuest(customerId)
    ? { kind: 'GUEST', id: customerId.slice(OF_GUESTS.length) }
    : { kind: 'CUSTOMER', id: customerId };
}

/** Somebody's personal data is for themselves, and for staff. */
export function mayRead(actor: Actor, customerId: string): boolean {
  return actsForStaff(actor) || subjectOf(actor) === customerId;
}
