import { z } from 'zod';
import type { ReadRows } from '../../eventsourcing/read-table.ts';
import { text } from '../values.ts';
import type { ProductRow } from './projection.ts';

export type ProductOrder = 'NAME_ASC' | 'NAME_DESC' | 'PRICE_ASC' | 'PRICE_DESC' | 'NEWEST';

export interface ProductsWanted {
  readonly search?: string | null | undefined;
  readonly skus?: readonly string[] | null | undefined;
  readonly activeOnly?: boolean | null | undefined;
}

/** A page: rows after and before some others, in the order asked for or in the opposite one. */
export interface Range {
  readonly after?: string | null | undefined;
  readonly before?: string | null | undefined;
  readonly limit: number;
  readonly inverted: boolean;
}

/** A text that is no cursor of this list in this order. */
export class InvalidCursor extends Error {
  override readonly name = 'InvalidCursor';
}

/** Beyond these, products are not counted. */
const MAX_COUNT = 10_000;
const MAX_CURSOR_TEXT = 500;

/** What an order sorts by; the sku makes it unique. */
const SORTS: Record<
  ProductOrder,
  { column: string; type: string; member: 'sortName' | 'priceMinor' | 'addedPosition'; descending: boolean }
> = {
  NAME_ASC: { column: 'sort_name', type: 'text', member: 'sortName', descending: false },
  NAME_DESC: { column: 'sort_name', type: 'text', member: 'sortName', descending: true },
  PRICE_ASC: { column: 'price_minor', type: 'bigint', member: 'priceMinor', descending: false },
  PRICE_DESC: { column: 'price_minor', type: 'bigint', member: 'priceMinor', descending: true },
  NEWEST: { column: 'added_position', type: 'bigint', member: 'addedPosition', descending: true },
};

/** Where a product lies in an order: order, sort key and sku, base64url. */
export function cursorOf(row: ProductRow, order: ProductOrder): string {
  return Buffer.from(JSON.stringify([order, row[SORTS[order].member], row.sku])).toString('base64url');
}

/** @throws {InvalidCursor} */
function parseCursor(cursor: string, order: ProductOrder): [key: string | number, sku: string] {
  try {
    const isText = SORTS[order].member === 'sortName';
    const key = isText ? text(MAX_CURSOR_TEXT) : z.number().int();
    const [, value, sku] = z
      .tuple([z.literal(order), key, text(MAX_CURSOR_TEXT)])
      .parse(JSON.parse(Buffer.from(cursor, 'base64url').toString('utf8')));
    return [value, sku];
  } catch (error) {
    throw new InvalidCursor(`A cursor of this list, sorted by ${order}, is expected in after and before.`, {
      cause: error,
    });
  }
}

/** One page of products, read by key and never by offset. @throws {InvalidCursor} */
export function findProducts(
  rows: ReadRows<ProductRow>,
  wanted: ProductsWanted,
  order: ProductOrder,
  { after, before, limit, inverted }: Range,
): Promise<ProductRow[]> {
  const { column, type, descending } = SORTS[order];
  const { conditions, parameters } = conditionsOf(wanted);
  const beyond = (cursor: string, greater: boolean) => {
    const [key, sku] = parseCursor(cursor, order);
    parameters.push(key, sku);
    const at = parameters.length;
    conditions.push(`(${column}, sku) ${greater ? '>' : '<'} ($${at - 1}::${type}, $${at}::text)`);
  };
  if (typeof after === 'string') beyond(after, !descending);
  if (typeof before === 'string') beyond(before, descending);
  const direction = descending === inverted ? 'ASC' : 'DESC';
  return rows.find(
    `${whereOf(conditions)} ORDER BY ${column} ${direction}, sku ${direction} LIMIT ${limit}`,
    ...parameters,
  );
}

/** How many products are wanted in all; null beyond 10,000. */
export function countProducts(rows: ReadRows<ProductRow>, wanted: ProductsWanted): Promise<number | null> {
  const { conditions, parameters } = conditionsOf(wanted);
  return rows.count(whereOf(conditions), MAX_COUNT, ...parameters);
}

function conditionsOf({ search, skus, activeOnly }: ProductsWanted): { conditions: string[]; parameters: unknown[] } {
  const conditions: string[] = [];
  const parameters: unknown[] = [];
  for (const word of search?.toLowerCase().split(/\s+/).filter(Boolean) ?? []) {
    // Nothing can hold what no text can: the database would refuse to compare with it.
    parameters.push(
      `%${word
        .replaceAll('\u0000', '')
        .toWellFormed()
        .replace(/[\\%_]/g, '\\$&')}%`,
    );
    conditions.push(`search_text LIKE $${parameters.length}`);
  }
  if (skus !== undefined && skus !== null) {
    parameters.push(skus.filter((sku) => !sku.includes('\u0000') && sku.isWellFormed()));
    conditions.push(`sku = ANY ($${parameters.length}::text[])`);
  }
  if (activeOnly === true) conditions.push('active');
  return { conditions, parameters };
}

function whereOf(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `WHERE ${conditions.join(' AND ')}`;
}
