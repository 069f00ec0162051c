import type { ObjectRef } from '@pothos/core';
import type { BuilderTypes } from '../../graphql/builder.ts';
import { fault } from '../../graphql/faults.ts';
import { keysetPage, TOTAL_COUNT } from '../../graphql/keyset-page.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { countProducts, findProducts, keyOfProduct, type ProductOrder, productKey } from './product-search.ts';
import { type ProductRow, productProjection } from './projection.ts';

const ORDERS: Record<ProductOrder, string> = {
  NAME_ASC: 'By name, from A to Z, without regard to case.',
  NAME_DESC: 'By name, from Z to A, without regard to case.',
  PRICE_ASC: 'The cheapest first.',
  PRICE_DESC: 'The dearest first.',
  NEWEST: 'What was added last first.',
};
const MAX_SEARCH = 200;
const MAX_SKUS = 500;

/** Declares the list of products: searched, filtered, sorted and paged in the read table. */
export function addProductList({ builder }: SchemaKit, product: ObjectRef<BuilderTypes, ProductRow>): void {
  const filter = builder.inputType('ProductFilter', {
    description: 'Which products; all of what is given must hold.',
    fields: (t) => ({
      search: t.string({ description: 'Every word of it occurs in sku, name or description, without regard to case.' }),
      skus: t.stringList({ description: `One of these, at most ${MAX_SKUS}.` }),
      activeOnly: t.boolean({ description: 'Only what can be put into carts.' }),
    }),
  });
  const order = builder.enumType('ProductOrder', {
    description: 'How products are sorted.',
    values: Object.fromEntries(Object.entries(ORDERS).map(([name, description]) => [name, { description }])) as Record<
      ProductOrder,
      { description: string }
    >,
  });
  builder.queryField('products', (t) =>
    t.connection(
      {
        type: product,
        audience: 'public',
        description: 'The products of the shop.',
        args: {
          filter: t.arg({ type: filter, description: 'Which products; all, if left out.' }),
          orderBy: t.arg({ type: order, description: 'How they are sorted; NAME_ASC, if left out.' }),
        },
        resolve: async (_root, args, { engine }) => {
          const wanted = { search: args.filter?.search, skus: args.filter?.skus, activeOnly: args.filter?.activeOnly };
          if ((wanted.search?.length ?? 0) > MAX_SEARCH) {
            throw fault('BAD_USER_INPUT', `A search has at most ${MAX_SEARCH} characters.`);
          }
          if ((wanted.skus?.length ?? 0) > MAX_SKUS) throw fault('BAD_USER_INPUT', `At most ${MAX_SKUS} skus.`);
          const orderBy = args.orderBy ?? 'NAME_ASC';
          const { rows } = engine.view(productProjection);
          return keysetPage(args, {
            name: orderBy,
            key: productKey(orderBy),
            keyOf: (row: ProductRow) => keyOfProduct(row, orderBy),
            find: (page) => findProducts(rows, wanted, orderBy, page),
            count: () => countProducts(rows, wanted),
          });
        },
      },
      {
        name: 'ProductConnection',
        description: 'A page of products.',
        fields: (connection) => ({ totalCount: connection.int(TOTAL_COUNT) }),
      },
      { name: 'ProductEdge', description: 'A product with its cursor.' },
    ),
  );
}
