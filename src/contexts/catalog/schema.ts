import { streamIdOf } from '../../eventsourcing/log/stream-id.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { AFTER, MIN_POSITION } from '../../graphql/descriptions.ts';
import { idAsOf, splitId } from '../../graphql/global-id.ts';
import { waitFor, watch } from '../../graphql/live-field.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import { AS_OF, pointOf, type RowOfAnyTime, readAgain, readAsOf } from '../../graphql/time-travel.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addProductMutations } from './mutations.ts';
import { addProductList } from './product-list.ts';
import { type ProductRow, productProjection } from './projection.ts';

const productNamed = ({ sku }: { readonly sku: string }) => ({ type: 'product', id: sku });

export function declareCatalogSchema(kit: SchemaKit, shared: SharedTypes): void {
  const { builder } = kit;
  const product = builder.objectRef<RowOfAnyTime<ProductRow>>('Product');
  const load = (sku: string, { engine }: RequestContext) => engine.view(productProjection).read(sku);
  shared.provideLink('Product', { ref: product, load });

  builder.node(product, {
    description:
      "A product of the shop. `version` is that of the product's own stream; its stock is a stream of its own with `stockVersion`.",
    audience: 'public',
    id: { resolve: ({ sku, asOf }) => idAsOf(sku, asOf) },
    isTypeOf: (value) => typeof value === 'object' && value !== null && 'stockVersion' in value,
    loadMany: (ids: string[], context) =>
      Promise.all(
        ids.map(async (id) => {
          const { id: sku, asOf } = splitId(id);
          if (asOf === undefined) return (await load(sku, context)) ?? null;
          return (await readAgain(productProjection, sku, streamIdOf('product', sku), asOf, context)) ?? null;
        }),
      ),
    fields: (t) => ({
      sku: t.string({ description: 'The stock keeping unit.', resolve: (it) => it.sku }),
      name: t.string({ description: 'What the shop calls it.', resolve: (it) => it.name }),
      description: t.string({
        nullable: true,
        description: 'What the shop tells about it.',
        resolve: (it) => it.description,
      }),
      price: t.field({
        type: shared.money,
        description: 'What one piece costs.',
        resolve: (it) => ({ amountMinor: it.priceMinor, currency: it.currency }),
      }),
      active: t.boolean({ description: 'It can be put into carts.', resolve: (it) => it.active }),
      version: t.int({ description: "Of the product's own stream.", resolve: (it) => it.version }),
      available: t.int({ description: 'Pieces that can be sold.', resolve: (it) => it.available }),
      stockVersion: t.int({
        description: "Of the stock's stream: adjustStock's expectedVersion.",
        resolve: (it) => it.stockVersion,
      }),
      position: t.field({
        type: 'Position',
        description: 'Of the newest event that this view holds.',
        resolve: (it, _args, { engine }) => engine.positions.encode(it.position),
      }),
    }),
  });

  builder.queryField('product', (t) =>
    t.field({
      type: product,
      nullable: true,
      audience: 'public',
      description: 'A product by its sku; null if there is none.',
      args: {
        sku: t.arg.string({ required: true, description: 'The stock keeping unit.' }),
        minPosition: t.arg({ type: 'Position', description: MIN_POSITION }),
      },
      reads: productNamed,
      resolve: async (_root, { sku, minPosition }, context) => {
        await waitFor(productProjection, sku, minPosition, context);
        return load(sku, context);
      },
    }),
  );
  builder.queryField('productAsOf', (t) =>
    t.field({
      type: product,
      nullable: true,
      audience: 'public',
      description: 'A product as it was, with its stock of then; null if it was not there.',
      args: {
        sku: t.arg.string({ required: true, description: 'The stock keeping unit.' }),
        asOf: t.arg({ type: kit.asOf, required: true, description: AS_OF }),
      },
      reads: productNamed,
      resolve: (_root, { sku, asOf }, context) =>
        readAsOf(productProjection, sku, streamIdOf('product', sku), pointOf(asOf), context),
    }),
  );
  addProductList(kit, product);

  const change = kit.addChangeType('Product', 'product', product);
  builder.subscriptionField('productChanged', (t) =>
    t.field({
      type: change,
      audience: 'public',
      description: 'The live view of one product.',
      args: {
        sku: t.arg.string({ required: true, description: 'The stock keeping unit.' }),
        after: t.arg({ type: 'Position', description: AFTER }),
      },
      reads: productNamed,
      subscribe: (_root, { sku, after }, context) => watch(productProjection, sku, after, context, () => true),
      resolve: (it) => it,
    }),
  );
  addProductMutations(kit, shared, product);
}
