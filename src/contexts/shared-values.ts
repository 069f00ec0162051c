import type { SchemaBuilderOf } from '../graphql/builder.ts';
import type { Address, Discount, Money, MovedLine, OrderedLine } from './values.ts';

/** The object types of values that several contexts show, in their views or in their events. */
export function addValueTypes(builder: SchemaBuilderOf) {
  const money = builder.objectRef<Money>('Money').implement({
    description: 'An amount of money, exact: never a float.',
    audience: 'public',
    fields: (t) => ({
      amountMinor: t.field({
        type: 'SafeInt',
        description: "In the currency's smallest unit: 1.99 GBP is 199.",
        resolve: (it) => it.amountMinor,
      }),
      currency: t.field({ type: 'Currency', description: 'An ISO 4217 code.', resolve: (it) => it.currency }),
    }),
  });
  const moneyInput = builder.inputType('MoneyInput', {
    description: 'An amount of money, exact: never a float.',
    fields: (t) => ({
      amountMinor: t.field({
        type: 'SafeInt',
        required: true,
        description: "In the currency's smallest unit: 1.99 GBP is 199.",
      }),
      currency: t.field({ type: 'Currency', required: true, description: 'An ISO 4217 code.' }),
    }),
  });
  const discount = builder.objectRef<Discount>('Discount').implement({
    description: 'What is taken off.',
    audience: 'owner',
    fields: (t) => ({
      code: t.string({ description: 'What it was granted for.', resolve: (it) => it.code }),
      label: t.string({ description: 'What to call it on screen.', resolve: (it) => it.label }),
      amount: t.field({ type: money, description: 'How much is taken off.', resolve: (it) => it.amount }),
    }),
  });
  const address = builder.objectRef<Address>('Address').implement({
    description: 'A postal address.',
    audience: 'owner',
    fields: (t) => ({
      name: t.string({ nullable: true, description: 'Who lives there.', resolve: (it) => it.name }),
      street: t.string({ nullable: true, description: 'Street and house.', resolve: (it) => it.street }),
      city: t.string({ nullable: true, description: 'The place.', resolve: (it) => it.city }),
      postalCode: t.string({ nullable: true, description: 'The code of the place.', resolve: (it) => it.postalCode }),
      country: t.string({ nullable: true, description: 'The country.', resolve: (it) => it.country }),
    }),
  });
  const addressInput = builder.inputType('AddressInput', {
    description: 'A postal address.',
    fields: (t) => ({
      name: t.string({ required: true, description: 'Who lives there; at most 200 characters.' }),
      street: t.string({ required: true, description: 'Street and house; at most 200 characters.' }),
      city: t.string({ required: true, description: 'The place; at most 100 characters.' }),
      postalCode: t.string({ required: true, description: 'The code of the place; at most 20 characters.' }),
      country: t.string({ required: true, description: 'The country; at most 60 characters.' }),
    }),
  });
  const pricedLine = (name: string, description: string, unitPrice: string) =>
    builder.objectRef<MovedLine | OrderedLine>(name).implement({
      description,
      audience: 'public',
      fields: (t) => ({
        sku: t.string({ description: 'The product.', resolve: (it) => it.sku }),
        name: t.string({ description: 'What the product was called when it was added.', resolve: (it) => it.name }),
        quantity: t.int({ description: 'How many pieces.', resolve: (it) => it.quantity }),
        unitPrice: t.field({ type: money, description: unitPrice, resolve: (it) => it.unitPrice }),
      }),
    });
  const returnedLine = builder
    .objectRef<{ readonly sku: string; readonly quantity: number }>('ReturnedLine')
    .implement({
      description: 'Pieces of one product that come back.',
      audience: 'public',
      fields: (t) => ({
        sku: t.string({ description: 'The product.', resolve: (it) => it.sku }),
        quantity: t.int({ description: 'How many pieces.', resolve: (it) => it.quantity }),
      }),
    });
  const shipmentStatus = builder.enumType('ShipmentStatus', {
    description: 'How far a shipment has come.',
    values: {
      REQUESTED: { description: 'The goods are to be prepared.' },
      PREPARED: { description: 'The goods are packed, and the carrier knows of them.' },
      IN_TRANSIT: { description: 'The carrier has them.' },
      DELIVERED: { description: 'The customer has them.' },
      CANCELLED: { description: 'They stay where they are.' },
    } as const,
  });
  return {
    shipmentStatus,
    money,
    moneyInput,
    discount,
    address,
    addressInput,
    movedLine: pricedLine(
      'MovedLine',
      'The pieces of one product on their way from one cart into another.',
      'What one piece costs.',
    ),
    orderedLine: pricedLine('OrderedLine', 'The pieces of one product that are ordered.', 'What one piece cost.'),
    returnedLine,
  };
}
