import type { ObjectRef } from '@pothos/core';
import type { Actor } from '../../eventsourcing/actor.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import type { RequestContext } from '../../graphql/context.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { mayRead, subjectOf } from '../ownership.ts';
import { type PersonalDataState, personalDataState, type SharedTypes } from '../shared-types.ts';
import { addExportCustomer } from './export.ts';
import { addForgetCustomer } from './forgetting.ts';
import { type CustomerRow, customerProjection, foldedEmail } from './projection.ts';

const MAX_FOUND = 100;
const NO_CONTACT = { email: null, name: null, foldedEmail: null, emailHash: null } as const;

export function declareCustomersSchema(kit: SchemaKit, shared: SharedTypes): void {
  const { builder } = kit;
  const customer = builder.objectRef<CustomerRow>('Customer');
  const load = (customerId: string, { engine }: RequestContext) => engine.view(customerProjection).read(customerId);
  shared.provideLink('Customer', { ref: customer, load });

  builder.node(customer, {
    description: 'Somebody who ordered something, or is about to: a customer, or a guest.',
    audience: 'owner',
    id: { resolve: ({ customerId }) => customerId },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'knownSince' in value,
    // Who is a customer here is for nobody else to know.
    loadMany: (ids: string[], context) =>
      Promise.all(ids.map(async (id) => (mayRead(context.actor, id) ? ((await load(id, context)) ?? null) : null))),
    fields: (t) => ({
      personalData: t.field({
        type: shared.personalData,
        description: 'How far email and name can be read.',
        resolve: (it, _args, { actor }) => stateFor(actor, it),
      }),
      email: t.string({
        nullable: true,
        description: 'Where mail goes.',
        resolve: (it, _args, { actor }) => (mayRead(actor, it.customerId) ? it.email : null),
      }),
      name: t.string({
        nullable: true,
        description: 'What they are called.',
        resolve: (it, _args, { actor }) => (mayRead(actor, it.customerId) ? it.name : null),
      }),
      createdAt: t.field({
        type: 'DateTime',
        description: 'When they first ordered; of somebody who has not yet, now.',
        resolve: (it) => it.knownSince,
      }),
    }),
  });

  builder.queryField('viewer', (t) =>
    t.field({
      type: customer,
      nullable: true,
      audience: 'public',
      description: 'Who I am; null for an anonymous caller, and for who is no customer or guest.',
      resolve: async (_root, _args, context) => {
        const customerId = subjectOf(context.actor);
        if (customerId === null) return null;
        return (await load(customerId, context)) ?? withoutRecord(customerId, new Date());
      },
    }),
  );
  addLookUp(kit, customer);
  addForgetCustomer(kit, customer);
  addExportCustomer(kit, shared);
}

/** By an address that only its hash is stored of. */
function addLookUp({ builder }: SchemaKit, customer: ObjectRef<BuilderTypes, CustomerRow>): void {
  builder.queryField('customersByEmail', (t) =>
    t.field({
      type: [customer],
      audience: 'staff',
      description: `Who has this e-mail address, in capitals or not; at most ${MAX_FOUND}.`,
      args: { email: t.arg.string({ required: true, description: 'The whole address.' }) },
      resolve: (_root, { email }, { engine }) =>
        engine
          .view(customerProjection)
          .rows.find(
            `WHERE email_hash = $1 ORDER BY customer_id LIMIT ${MAX_FOUND}`,
            engine.codec.keyedHash(foldedEmail(email)),
          ),
    }),
  );
}

/** Of somebody without a record nothing is forgotten: there is nothing yet. */
function stateFor(actor: Actor, { customerId, version, email, name }: CustomerRow): PersonalDataState {
  return personalDataState(mayRead(actor, customerId), version > 0 && email === null && name === null);
}

/** Somebody who is signed in, and has ordered nothing yet. */
function withoutRecord(customerId: string, now: Date): CustomerRow {
  return { ...NO_CONTACT, customerId, version: 0, position: 0, knownSince: now };
}
