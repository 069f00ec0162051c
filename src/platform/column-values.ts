/** What columns can hold, and be compared with: given anything else, the database would refuse the whole query. */

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

/** Whether a text column can hold it: no U+0000, no half characters. */
export function isColumnText(text: string): boolean {
  return !text.includes('\u0000') && text.isWellFormed();
}

export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** The driver writes years beyond these in a way that the database cannot read. */
const EARLIEST = new Date('0001-01-01T00:00:00Z');
const LATEST = new Date('9999-12-31T23:59:59.999Z');

/** The nearest instant that a column can hold, or be compared with. */
export function withinYears(instant: Date): Date {
  if (instant < EARLIEST) return EARLIEST;
  return instant > LATEST ? LATEST : instant;
}
