import type { EnumRef, ObjectRef } from '@pothos/core';
import { z } from 'zod';
import { actsForStaff } from '../../eventsourcing/actor.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { Conditions, type KeysetOrder, keysetClauses } from '../../platform/keyset.ts';
import { subjectOf } from '../ownership.ts';
import { type OrderRow, orderProjection } from './projection.ts';

/** Beyond these, orders are not counted. */
const MAX_COUNT = 1_000;
const ORDER: KeysetOrder = { columns: [{ name: 'placed_position', type: 'bigint' }], descending: true };
const orderKey = z.tuple([z.number().int()]);

/** Declares the list of orders: one's own, or for staff all. */
export function addOrderList(
  { builder }: SchemaKit,
  order: ObjectRef<BuilderTypes, OrderRow>,
  status: EnumRef<BuilderTypes, OrderRow['status']>,
): void {
  builder.queryField('orders', (t) =>
    t.connection(
      {
        type: order,
        audience: 'public',
        description: "One's own orders, the newest first; for staff those of all. An anonymous caller has none.",
        args: { status: t.arg({ type: [status], description: 'Only those that are one of these.' }) },
        resolve: (_root, args, { engine, actor }) => {
          const { rows } = engine.view(orderProjection);
          const wanted = () => {
            const conditions = new Conditions();
            if (!actsForStaff(actor)) {
              const customerId = subjectOf(actor);
              if (customerId === null) conditions.addNever();
              else conditions.add((at) => `customer_id = ${at}`, customerId);
            }
            if (args.status !== null && args.status !== undefined) {
              conditions.add((at) => `status = ANY (${at}::text[])`, [...args.status]);
            }
            return conditions;
          };
          return keysetPage(args, {
            name: 'orders',
            key: orderKey,
            keyOf: ({ placedPosition }: OrderRow): z.output<typeof orderKey> => [placedPosition],
            find: (page) => {
              const conditions = wanted();
              const clauses = keysetClauses(ORDER, page, conditions);
              return rows.find(`${conditions.where()} ${clauses}`, ...conditions.parameters);
            },
            count: () => {
              const conditions = wanted();
              return rows.count(conditions.where(), MAX_COUNT, ...conditions.parameters);
            },
          });
        },
      },
      {
        name: 'OrderConnection',
        description: 'A page of orders.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'OrderEdge', description: 'An order with its cursor.' },
    ),
  );
}
