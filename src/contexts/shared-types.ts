import type { ObjectRef, OutputRef } from '@pothos/core';
import type { Receipt } from '../eventsourcing/commands/command.ts';
import type { BuilderTypes } from '../graphql/builder.ts';
import type { RequestContext } from '../graphql/context.ts';
import type { ValueTypes } from '../graphql/events.ts';
import type { SchemaKit } from '../graphql/schema-kit.ts';
import { addValueTypes } from './shared-values.ts';

/** A type of one context that others may link to, without knowing more of it. */
export interface EntityLink {
  readonly ref: ObjectRef<BuilderTypes, object>;
  load(key: string, context: RequestContext): Promise<object | undefined>;
}

/** What one context keeps about somebody. */
export interface PersonalRecords {
  /** Lists of what is kept, by what they are called: `orders`. */
  readonly lists: Readonly<Record<string, readonly object[]>>;
  /** The streams that these were folded from. */
  readonly streamIds: readonly string[];
  /** What it began with, by whose ids processes are found that remember something of them. */
  readonly correlationIds?: readonly string[];
  /** There is more than was asked for. */
  readonly isMore: boolean;
}

/** Whose records are asked for. */
export interface RecordsAbout {
  readonly customerId: string;
  /** Of carts that they used, or that were theirs: also of those that belong to nobody. */
  readonly cartIds: readonly string[];
  /** Of each list at most so many. */
  readonly limit: number;
}

export type LoadRecords = (about: RecordsAbout, context: RequestContext) => Promise<PersonalRecords>;

export interface OrderPayload {
  readonly order: object;
  readonly receipt: Receipt;
}

export type PersonalDataState = 'PRESENT' | 'MASKED' | 'FORGOTTEN';

const PERSONAL_DATA_MEANINGS: Record<PersonalDataState, string> = {
  PRESENT: 'It can be read.',
  MASKED: 'It is there, but not for you.',
  FORGOTTEN: 'It was forgotten: nobody can read it any more.',
};

/** @param isVisible the caller may read it @param isForgotten there is no key to read it with any more */
export function personalDataState(isVisible: boolean, isForgotten: boolean): PersonalDataState {
  if (!isVisible) return 'MASKED';
  return isForgotten ? 'FORGOTTEN' : 'PRESENT';
}

/** Types of the schema that several contexts show. */
export function addSharedTypes({ builder, rejections }: SchemaKit) {
  const values = addValueTypes(builder);
  const personalData = builder.enumType('PersonalDataState', {
    description:
      "How far personal fields can be read: by this caller's right (MASKED), or at all (FORGOTTEN). Fields that cannot be read are null.",
    values: Object.fromEntries(
      Object.entries(PERSONAL_DATA_MEANINGS).map(([name, description]) => [name, { description }]),
    ) as Record<PersonalDataState, { description: string }>,
  });
  const links = new Map<string, EntityLink>();
  const records: LoadRecords[] = [];
  const valueTypes = new Map<string, OutputRef>([
    ['Money', values.money],
    ['Discount', values.discount],
    ['Address', values.address],
    ['MovedLine', values.movedLine],
    ['OrderedLine', values.orderedLine],
    ['ReturnedLine', values.returnedLine],
  ]);
  return {
    ...values,
    personalData,
    /** What commands end with that make or change an order; declared by the context that knows orders. */
    orderPayload: builder.objectRef<OrderPayload>('OrderPayload'),
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
    /** Lets payloads of events show a type of this context, by the name that the zod schema carries in its meta. */
    provideValueType(name: string, ref: OutputRef): void {
      valueTypes.set(name, ref);
    },
    /** Adds what a context keeps about somebody to all that is kept about them. */
    provideRecords(load: LoadRecords): void {
      records.push(load);
    },
    /** What every context keeps about somebody; complete when all contexts are declared. */
    records(): readonly LoadRecords[] {
      return records;
    },
    /** Every type that payloads of events are made of beside the plain ones; complete when all contexts are declared. */
    valueTypes(): ValueTypes {
      return { ...Object.fromEntries(valueTypes), Currency: 'Currency', JSON: 'JSON' };
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
