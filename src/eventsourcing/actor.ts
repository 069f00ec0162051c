export const ACTOR_KINDS = [
  'ANONYMOUS',
  'GUEST',
  'CUSTOMER',
  'STAFF',
  'ADMIN',
  'SERVICE',
  'PROCESS',
  'SYSTEM',
] as const;
export type ActorKind = (typeof ACTOR_KINDS)[number];

/** Who does something: recorded with every command and event. */
export interface Actor {
  readonly kind: ActorKind;
  readonly id: string | null;
}

/** The server itself, where no request stands behind what it does. */
export const SYSTEM: Actor = { kind: 'SYSTEM', id: null };

/**
 * Who a command or field is for; declared beside every one of them.
 * `owner`: whoever the aggregate belongs to, which the decider or the resolver finds out; the gate lets all pass.
 */
export const AUDIENCES = ['public', 'owner', 'customer', 'staff', 'admin', 'service'] as const;
export type Audience = (typeof AUDIENCES)[number];

const BEYOND_AUDIENCES: readonly ActorKind[] = ['ADMIN', 'PROCESS', 'SYSTEM'];
const MEMBERS: Record<Exclude<Audience, 'public' | 'owner'>, readonly ActorKind[]> = {
  customer: ['CUSTOMER', 'STAFF'],
  staff: ['STAFF'],
  admin: [],
  service: ['SERVICE'],
};

export function isAudience(actor: Actor, audience: Audience): boolean {
  if (audience === 'public' || audience === 'owner') return true;
  return BEYOND_AUDIENCES.includes(actor.kind) || MEMBERS[audience].includes(actor.kind);
}

/** Whether they are the same, or the one acts for the shop: what somebody did is for themselves and for staff. */
export function isThemselvesOrStaff(viewer: Actor, actor: Actor): boolean {
  return actsForStaff(viewer) || (viewer.kind === actor.kind && viewer.id === actor.id);
}

/** Staff and those beyond every audience: they may see and change what belongs to others. */
export function actsForStaff(actor: Actor): boolean {
  return isAudience(actor, 'staff');
}
