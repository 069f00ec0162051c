import { randomUUID } from 'node:crypto';
import { v7 } from 'uuid';

/** Where ids come from, so that tests can foresee them. */
export interface Ids {
  /** A UUID that sorts by the time it was made: cheap to index. For commands and events. */
  ordered(): string;
  /** A UUID that nobody can guess (122 random bits): who knows it, may. For carts of guests. */
  unguessable(): string;
}

export const randomIds: Ids = { ordered: () => v7(), unguessable: () => randomUUID() };
