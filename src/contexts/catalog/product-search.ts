import { z } from 'zod';
import type { ReadRows } from '../../eventsourcing/projections/read-table.ts';
import { isColumnText } from '../../platform/column-values.ts';
import { Conditions, type KeysetPage, keysetClauses } from '../../platform/keyset.ts';
import { text } from '../values.ts';
import type { ProductRow } from './projection.ts';

export type ProductOrder = 'NAME_ASC' | 'NAME_DESC' | 'PRICE_ASC' | 'PRICE_DESC' | 'NEWEST';

export interface ProductsWanted {
  readonly search?: string | null | undefined;
  readonly skus?: readonly string[] | null | undefined;
  readonly activeOnly?: boolean | null | undefined;
}

/** Beyond these, products are not counted. */
const MAX_COUNT = 10_000;
/** Of a key in a cursor. */
const MAX_KEY_TEXT = 500;

/** What an order sorts by; the sku makes it unique. */
const SORTS: Record<
  ProductOrder,
  { column: string; type: 'text' | 'bigint'; member: 'sortName' | 'priceMinor' | 'addedPosition'; descending: boolean }
> = {
  NAME_ASC: { column: 'sort_name', type: 'text', member: 'sortName', descending: false },
  NAME_DESC: { column: 'sort_name', type: 'text', member: 'sortName', descending: true },
  PRICE_ASC: { column: 'price_minor', type: 'bigint', member: 'priceMinor', descending: false },
  PRICE_DESC: { column: 'price_minor', type: 'bigint', member: 'priceMinor', descending: true },
  NEWEST: { column: 'added_position', type: 'bigint', member: 'addedPosition', descending: true },
};

/** Where a product lies in an order. */
export type ProductKey = readonly [value: string | number, sku: string];

export function keyOfProduct(row: ProductRow, order: ProductOrder): ProductKey {
  return [row[SORTS[order].member], row.sku];
}

/** What such a key looks like. */
export function productKey(order: ProductOrder): z.ZodType<ProductKey> {
  return z.tuple([SORTS[order].type === 'text' ? text(MAX_KEY_TEXT) : z.number().int(), text(MAX_KEY_TEXT)]);
}

/** One page of products. */
export function findProducts(
  rows: ReadRows<ProductRow>,
  wanted: ProductsWanted,
  order: ProductOrder,
  page: KeysetPage<ProductKey>,
): Promise<ProductRow[]> {
  const { column, type, descending } = SORTS[order];
  const columns = [
    { name: column, type },
    { name: 'sku', type: 'text' },
  ] as const;
  const conditions = conditionsOf(wanted);
  const sorted = keysetClauses({ columns, descending }, page, conditions);
  return rows.find(`${conditions.where()} ${sorted}`, ...conditions.parameters);
}

/** How many products are wanted in all; null beyond 10,000. */
export function countProducts(rows: ReadRows<ProductRow>, wanted: ProductsWanted): Promise<number | null> {
  const conditions = conditionsOf(wanted);
  return rows.count(conditions.where(), MAX_COUNT, ...conditions.parameters);
}

function conditionsOf({ search, skus, activeOnly }: ProductsWanted): Conditions {
  const conditions = new Conditions();
  for (const word of search?.toLowerCase().split(/\s+/).filter(Boolean) ?? []) {
    // Nothing can hold what no text can: the database would refuse to compare with it.
    const pattern = word
      .replaceAll('\u0000', '')
      .toWellFormed()
      .replace(/[\\%_]/g, '\\$&');
    conditions.add((at) => `search_text LIKE ${at}`, `%${pattern}%`);
  }
  if (skus !== undefined && skus !== null)
    conditions.add((at) => `sku = ANY (${at}::text[])`, skus.filter(isColumnText));
  if (activeOnly === true) conditions.add(() => 'active');
  return conditions;
}
