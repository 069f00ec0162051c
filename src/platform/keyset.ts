import { withinYears } from './column-values.ts';

/** Lists that are read page by page by their sort keys, never by offset: a page costs the same however far back it is. */

/** Where a row lies in a sorted list: the values of the columns that it is sorted by, unique together. */
export type Keyset = readonly (string | number | Date)[];

/** A page of a sorted list: what comes after one row and before another. */
export interface KeysetPage<Key extends Keyset = Keyset> {
  readonly after?: Key | undefined;
  readonly before?: Key | undefined;
  readonly limit: number;
  /** The last ones of these rows, in the opposite order. */
  readonly inverted: boolean;
}

/** What a list is sorted by. */
export interface KeysetOrder {
  readonly columns: readonly { readonly name: string; readonly type: 'text' | 'bigint' | 'uuid' | 'timestamptz' }[];
  readonly descending: boolean;
}

/** Conditions of a query that must all hold, with the parameters that they name. */
export class Conditions {
  readonly parameters: unknown[] = [];
  readonly #conditions: string[] = [];

  /** @param condition is given the placeholders of the values */
  add(condition: (...placeholders: string[]) => string, ...values: unknown[]): void {
    this.#conditions.push(condition(...values.map((value) => this.placeholder(value))));
  }

  /** Nothing can be what was asked for. */
  addNever(): void {
    this.#conditions.push('false');
  }

  /** How a value is named in the query. */
  placeholder(value: unknown): string {
    return `$${this.parameters.push(value instanceof Date ? withinYears(value) : value)}`;
  }

  /** `WHERE …`, or nothing; with further conditions that need no parameters. */
  where(...others: string[]): string {
    const all = [...this.#conditions, ...others];
    return all.length === 0 ? '' : `WHERE ${all.join(' AND ')}`;
  }
}

/** Adds the conditions of a page. @returns `ORDER BY … LIMIT …` */
export function keysetClauses(
  { columns, descending }: KeysetOrder,
  { after, before, limit, inverted }: KeysetPage,
  conditions: Conditions,
): string {
  const names = columns.map(({ name }) => name).join(', ');
  const beyond = (key: Keyset, operator: '<' | '>') =>
    conditions.add((...at) => `(${names}) ${operator} (${columns.map(({ type }, i) => `${at[i]}::${type}`)})`, ...key);
  if (after !== undefined) beyond(after, descending ? '<' : '>');
  if (before !== undefined) beyond(before, descending ? '>' : '<');
  const direction = descending === inverted ? 'ASC' : 'DESC';
  const order = columns.map(({ name }) => `${name} ${direction}`).join(', ');
  return `ORDER BY ${order} LIMIT ${conditions.placeholder(limit)}::int`;
}
