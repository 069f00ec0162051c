import type { ObjectRef } from '@pothos/core';
import type { Receipt } from '../../eventsourcing/commands/command.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { rawIdOf } from '../../graphql/command-mutation.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID } from '../../graphql/descriptions.ts';
import { fault } from '../../graphql/faults.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { forgetCustomer } from './commands.ts';
import { customerOrderProjection } from './order-copy.ts';
import { type CustomerRow, customerProjection } from './projection.ts';

/** Declares how somebody is forgotten. */
export function addForgetCustomer(kit: SchemaKit, customer: ObjectRef<BuilderTypes, CustomerRow>): void {
  const { builder, rejections } = kit;
  const payload = builder
    .objectRef<{ readonly customer: CustomerRow; readonly receipt: Receipt }>('CustomerPayload')
    .implement({
      description: 'A customer after a command.',
      audience: 'owner',
      fields: (t) => ({
        customer: t.field({ type: customer, description: 'As they are known now.', resolve: (it) => it.customer }),
        receipt: t.field({
          type: kit.receipt,
          description: 'What became of the command.',
          resolve: (it) => it.receipt,
        }),
      }),
    });
  kit.addCommandMutation({
    field: 'forgetCustomer',
    command: forgetCustomer,
    idType: 'Customer',
    // Whoever wants it done wants to know that it is.
    schedulable: false,
    input: builder.inputType('ForgetCustomerInput', {
      description: forgetCustomer.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        customerId: t.id({ required: true, description: 'The id of the customer or guest.' }),
        reason: t.string({
          required: true,
          description: 'Why; at most 500 characters. It is kept, and not encrypted: it must not say who they are.',
        }),
      }),
    }),
    data: async ({ customerId, reason }, context) => {
      await untilOrdersAreKnown(context);
      return { customerId: rawIdOf('Customer', customerId), reason };
    },
    payload,
    load: (customerId, { engine }) => engine.view(customerProjection).readUpToDate(customerId),
    show: (it, receipt) => ({ customer: it, receipt }),
    rejections: [rejections.notFound, rejections.illegalState],
  });
}

/**
 * It is decided from a copy of orders that has to have all of them that there are by now.
 * @throws the faults STALE_READ and PROJECTION_PARKED
 */
async function untilOrdersAreKnown({ engine, readWaitMs }: RequestContext): Promise<void> {
  const head = await engine.tail.refresh();
  const { follower } = engine.view(customerOrderProjection);
  if (!(await follower.reach(head, readWaitMs))) {
    throw fault('STALE_READ', 'It is not known yet what is under way for them: send it again in a while.');
  }
  if (!follower.parking.isEmpty) {
    const source = follower.task.name;
    throw fault(
      'PROJECTION_PARKED',
      `Some orders are not known as they are: see to the dead letters of ${source} first.`,
    );
  }
}
