import type { ObjectRef } from '@pothos/core';
import type { ProjectedRow } from '../eventsourcing/projection.ts';
import type { BuilderTypes } from '../graphql/builder.ts';
import type { RequestContext } from '../graphql/context.ts';
import type { SchemaKit } from '../graphql/schema-kit.ts';
import type { Money } from './values.ts';

/** A type of one context that others may link to, without knowing more of it. */
export interface EntityLink {
  readonly ref: ObjectRef<BuilderTypes, ProjectedRow>;
  load(key: string, context: RequestContext): Promise<ProjectedRow | undefined>;
}

/** Types of the schema that several contexts show. */
export function addSharedTypes({ builder, rejections }: SchemaKit) {
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
  const links = new Map<string, EntityLink>();
  return {
    money,
    moneyInput,
    insufficientStock: rejections.declareRejection('InsufficientStock', 'Less is in stock than was asked for.', {
      sku: { type: 'String', description: 'The product that is scarce.' },
      requested: { type: 'Int', description: 'How many pieces were asked for.' },
      available: { type: 'Int', description: 'How many there are.' },
    }),
    limitExceeded: rejections.declareRejection('LimitExceeded', 'It would become more than is allowed.', {
      limit: { type: 'Int', description: 'The most that is allowed.' },
    }),
    currencyMismatch: rejections.declareRejection('CurrencyMismatch', 'It is in another currency.', {
      expected: { type: 'Currency', description: 'The currency that is needed.' },
      actual: { type: 'Currency', description: 'The currency that it has.' },
    }),
    /** Lets other contexts link to a type of this one. */
    provideLink(name: string, link: EntityLink): void {
      links.set(name, link);
    },
    /** The link to another context's type; to be asked for when the schema is built, not before. */
    linkTo(name: string): EntityLink {
      const link = links.get(name);
      if (link === undefined) throw new Error(`No context provides the type ${name}.`);
      return link;
    },
  };
}

export type SharedTypes = ReturnType<typeof addSharedTypes>;
