import type { Decider } from '../../eventsourcing/decider.ts';
import type { CustomerCommand } from './commands.ts';
import type { CustomerEvent } from './events.ts';

/** What somebody said of themselves last; null where it is forgotten. */
export interface KnownCustomer {
  readonly status: 'known';
  readonly email: string | null;
  readonly name: string | null;
}

export type CustomerState = { readonly status: 'unknown' } | KnownCustomer;

export const customerDecider: Decider<CustomerState, CustomerCommand, CustomerEvent> = {
  initialState: { status: 'unknown' },
  decide({ data: { customerId, email, name } }, state) {
    // Forgotten between the order and this: there is nothing left that could be noted.
    if (email === null && name === null) return [];
    const data = { customerId, email, name };
    if (state.status === 'unknown') return [{ type: 'CustomerRecorded', data }];
    const isSame = state.email === email && state.name === name;
    return isSame ? [] : [{ type: 'CustomerContactChanged', data }];
  },
  evolve: (_state, { data: { email, name } }) => ({ status: 'known', email, name }),
};
