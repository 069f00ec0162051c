import type { ObjectRef } from '@pothos/core';
import type { Receipt } from '../../eventsourcing/commands/command.ts';
import type { BuilderTypes } from '../../graphql/builder.ts';
import type { RequestContext } from '../../graphql/context.ts';
import { COMMAND_ID, EXPECTED_VERSION } from '../../graphql/descriptions.ts';
import type { SchemaKit } from '../../graphql/schema-kit.ts';
import type { SharedTypes } from '../shared-types.ts';
import { addProduct, adjustStock, changeProductPrice, deactivateProduct } from './commands.ts';
import { type ProductRow, productProjection } from './projection.ts';

interface ProductPayload {
  readonly product: ProductRow;
  readonly receipt: Receipt;
}

const SKU = 'The stock keeping unit.';

export function addProductMutations(
  kit: SchemaKit,
  shared: SharedTypes,
  product: ObjectRef<BuilderTypes, ProductRow>,
): void {
  const { builder, rejections } = kit;
  const { versionConflict, notFound, illegalState } = rejections;
  const payload = builder.objectRef<ProductPayload>('ProductPayload').implement({
    description: 'A product after a command.',
    audience: 'public',
    fields: (t) => ({
      product: t.field({ type: product, description: 'As it is now.', resolve: (it) => it.product }),
      receipt: t.field({ type: kit.receipt, description: 'What became of the command.', resolve: (it) => it.receipt }),
    }),
  });
  const answer = {
    payload,
    load: (sku: string, { engine }: RequestContext) => engine.view(productProjection).readUpToDate(sku),
    show: (row: ProductRow, receipt: Receipt): ProductPayload => ({ product: row, receipt }),
  };

  kit.addCommandMutation({
    ...answer,
    field: 'addProduct',
    command: addProduct,
    input: builder.inputType('AddProductInput', {
      description: addProduct.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        sku: t.string({
          required: true,
          description: `${SKU} Letters, digits, dots, dashes and underscores, at most 64.`,
        }),
        name: t.string({ required: true, description: 'What the shop calls it; at most 200 characters.' }),
        description: t.string({ description: 'What the shop tells about it; at most 5,000 characters.' }),
        price: t.field({ type: shared.moneyInput, required: true, description: 'What one piece costs.' }),
        stock: t.int({ required: true, description: 'Pieces in stock to begin with.' }),
      }),
    }),
    data: ({ sku, name, description, price, stock }) => ({ sku, name, description, price, stock }),
    rejections: [illegalState],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'changeProductPrice',
    command: changeProductPrice,
    input: builder.inputType('ChangeProductPriceInput', {
      description: changeProductPrice.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        sku: t.string({ required: true, description: SKU }),
        price: t.field({ type: shared.moneyInput, required: true, description: 'What one piece costs from now on.' }),
      }),
    }),
    data: ({ sku, price }) => ({ sku, price }),
    rejections: [versionConflict, notFound],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'deactivateProduct',
    command: deactivateProduct,
    input: builder.inputType('DeactivateProductInput', {
      description: deactivateProduct.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: EXPECTED_VERSION }),
        sku: t.string({ required: true, description: SKU }),
      }),
    }),
    data: ({ sku }) => ({ sku }),
    rejections: [versionConflict, notFound, illegalState],
  });
  kit.addCommandMutation({
    ...answer,
    field: 'adjustStock',
    command: adjustStock,
    input: builder.inputType('AdjustStockInput', {
      description: adjustStock.description,
      fields: (t) => ({
        commandId: t.id({ description: COMMAND_ID }),
        expectedVersion: t.int({ description: "The product's stockVersion that you have seen." }),
        sku: t.string({ required: true, description: SKU }),
        delta: t.int({ required: true, description: 'Pieces more, or fewer if negative.' }),
        reason: t.string({ required: true, description: 'Why; shown to staff.' }),
      }),
    }),
    data: ({ sku, delta, reason }) => ({ sku, delta, reason }),
    rejections: [versionConflict, notFound, shared.insufficientStock, shared.limitExceeded],
  });
}
