import type { Decider, Decision } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import type { CustomerCommand } from './commands.ts';
import type { CustomerEvent } from './events.ts';
import type { CustomerFacts } from './facts.ts';

/** What somebody said of themselves last; null where it is forgotten. */
export interface KnownCustomer {
  readonly status: 'known';
  readonly email: string | null;
  readonly name: string | null;
}

/** `forgotten`: for good. Whoever was has no key any more, and never gets another. */
export type CustomerState = { readonly status: 'unknown' } | KnownCustomer | { readonly status: 'forgotten' };

type CommandData<Type extends CustomerCommand['type']> = Extract<CustomerCommand, { type: Type }>['data'];

export const customerDecider: Decider<CustomerState, CustomerCommand, CustomerEvent, CustomerFacts> = {
  initialState: { status: 'unknown' },
  decide(command, state, { facts }) {
    switch (command.type) {
      case 'RecordCustomer':
        return record(command.data, state);
      case 'ForgetCustomer':
        return forget(command.data, state, facts.get(command.data.customerId));
      default:
        return command satisfies never;
    }
  },
  evolve(_state, event) {
    switch (event.type) {
      case 'CustomerRecorded':
      case 'CustomerContactChanged': {
        const { email, name } = event.data;
        return { status: 'known', email, name };
      }
      case 'CustomerForgotten':
        return { status: 'forgotten' };
      default:
        return event satisfies never;
    }
  },
};

function record({ customerId, email, name }: CommandData<'RecordCustomer'>, state: CustomerState) {
  // Forgotten before this, or between the order and this: there is nothing that could be noted.
  if (state.status === 'forgotten' || (email === null && name === null)) return [];
  const data = { customerId, email, name };
  if (state.status === 'unknown') return [{ type: 'CustomerRecorded' as const, data }];
  const isSame = state.email === email && state.name === name;
  return isSame ? [] : [{ type: 'CustomerContactChanged' as const, data }];
}

function forget(
  { customerId, reason }: CommandData<'ForgetCustomer'>,
  state: CustomerState,
  facts: CustomerFacts | undefined,
): Decision<CustomerEvent> {
  if (state.status === 'forgotten') return [];
  // Who checked out and never got an order has no record, and yet their address is kept.
  if (state.status === 'unknown' && facts?.isKept !== true) return notFound('customer', customerId);
  const [open] = facts?.open ?? [];
  if (open !== undefined) {
    const what = `${open.number > 1 ? `${open.number} orders or payments` : 'An order or payment'} of theirs`;
    return illegalState(
      'ORDER_OPEN',
      `${what} is under way, and needs to know who they are: order ${open.orderId}. Cancel it, or wait until it is over.`,
    );
  }
  return [{ type: 'CustomerForgotten', data: { customerId, reason } }];
}
