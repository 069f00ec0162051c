import { jwtVerify, SignJWT } from 'jose';
import { LRUCache } from 'lru-cache';
import { z } from 'zod';
import { looksLikeGuest } from '../contexts/ownership.ts';
import type { Actor } from '../eventsourcing/actor.ts';
import { fault } from '../graphql/faults.ts';
import { isRawId } from '../graphql/global-id.ts';

/** What a token says somebody is. */
export const ROLES = ['guest', 'customer', 'staff', 'admin', 'service'] as const;
export type Role = (typeof ROLES)[number];

/**
 * `open`: a request without a token may do everything; only for a server that nobody else can reach.
 * `jwt`: such a request is anonymous.
 */
export type AuthMode = 'open' | 'jwt';

export interface Principal {
  readonly actor: Actor;
  /** When the token expires. */
  readonly expiresAt?: Date | undefined;
}

const ISSUER = 'cartstream';
const KINDS = { guest: 'GUEST', customer: 'CUSTOMER', staff: 'STAFF', admin: 'ADMIN', service: 'SERVICE' } as const;
const CACHED_TOKENS = 1_000;

/** What `isSubject` asks of a subject. */
export const SUBJECT_RULE =
  "must have 1 to 200 characters, none of them a control character; a customer's must not begin with guest:";

/** Whether a token may name somebody so: whoever acts must have an id that can be asked for. */
export function isSubject(role: Role, subject: string): boolean {
  return isRawId(subject) && subject.length <= 200 && !(role === 'customer' && looksLikeGuest(subject));
}

const claims = z
  .object({ sub: z.string(), role: z.enum(ROLES), exp: z.number() })
  .refine(({ role, sub }) => isSubject(role, sub), { path: ['sub'], error: SUBJECT_RULE });

/** Makes a token, signed with HS256. @param secret at least 32 bytes */
export function issueToken(secret: string, role: Role, subject: string, expiresInSeconds: number): Promise<string> {
  return new SignJWT({ role })
    .setProtectedHeader({ alg: 'HS256' })
    .setIssuer(ISSUER)
    .setSubject(subject)
    .setIssuedAt()
    .setExpirationTime(Math.floor(Date.now() / 1_000) + expiresInSeconds)
    .sign(new TextEncoder().encode(secret));
}

/** Finds out who a request comes from. */
export class Authenticator {
  readonly #mode: AuthMode;
  readonly #key: Uint8Array | undefined;
  readonly #known = new LRUCache<string, Principal & { expiresAt: Date }>({ max: CACHED_TOKENS });

  constructor(mode: AuthMode, secret: string | undefined) {
    this.#mode = mode;
    this.#key = secret === undefined ? undefined : new TextEncoder().encode(secret);
  }

  /**
   * @param authorization the header, or what stands for it on a WebSocket: `Bearer <token>`
   * @throws the fault UNAUTHENTICATED
   */
  authenticate(authorization: string | undefined): Principal | Promise<Principal> {
    if (authorization === undefined) {
      return { actor: { kind: this.#mode === 'open' ? 'ADMIN' : 'ANONYMOUS', id: null } };
    }
    const [, token] = /^Bearer ([\w.-]+)$/i.exec(authorization) ?? [];
    if (token === undefined) throw fault('UNAUTHENTICATED', 'The authorization must be: Bearer <token>.');
    const known = this.#known.get(token);
    return known !== undefined && known.expiresAt.getTime() > Date.now() ? known : this.#verify(token);
  }

  async #verify(token: string): Promise<Principal> {
    if (this.#key === undefined) {
      throw fault('UNAUTHENTICATED', 'This server knows no tokens: set JWT_SECRET, or send no authorization.');
    }
    try {
      const { payload } = await jwtVerify(token, this.#key, { issuer: ISSUER, algorithms: ['HS256'] });
      const { sub, role, exp } = claims.parse(payload);
      const principal = { actor: { kind: KINDS[role], id: sub }, expiresAt: new Date(exp * 1_000) };
      this.#known.set(token, principal);
      return principal;
    } catch (error) {
      throw Object.assign(fault('UNAUTHENTICATED', refusalOf(error)), { cause: error });
    }
  }
}

/** Who signs tokens is told what is wrong with whom they name. */
function refusalOf(error: unknown): string {
  const isOfNobody = error instanceof z.ZodError && error.issues.some(({ message }) => message === SUBJECT_RULE);
  return isOfNobody ? `The token's subject ${SUBJECT_RULE}.` : 'The token is not valid, or has expired: get a new one.';
}
