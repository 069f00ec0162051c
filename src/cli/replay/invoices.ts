import { createReadStream } from 'node:fs';
import { pipeline } from 'node:stream';
import { parse } from 'csv-parse';
import { z } from 'zod';
import { MAX_INT } from '../../contexts/values.ts';
import { CannotReplay } from './cannot-replay.ts';
import type { LeftOutReason, Tally } from './tally.ts';

/** A line that may become a line of a cart. */
export interface InvoiceLine {
  readonly sku: string;
  readonly quantity: number;
}

export interface Invoice {
  readonly invoiceNo: string;
  /** From the column CustomerID; undefined: a guest's. */
  readonly customerId: string | undefined;
  readonly lines: readonly InvoiceLine[];
  /** How much of the file lies before its end, in bytes. */
  readonly endsAt: number;
}

const needed = z.object({
  InvoiceNo: z.string().trim().min(1),
  StockCode: z.string().trim(),
  Quantity: z.string().trim(),
});
const row = needed.extend({ CustomerID: z.string().trim().default('') });
type Row = z.output<typeof row>;

const COLUMNS = Object.keys(needed.shape);
const MAX_LINE = 100_000;

const parsedRow = z.object({
  record: row.nullable().catch(null),
  info: z.object({ bytes: z.number(), lines: z.number() }),
});

/**
 * Reads a CSV file of invoice lines as a stream: what is held of it does not grow with the file. Lines that follow each
 * other and have the same InvoiceNo are one invoice; lines that cannot be in a cart are counted, and left out.
 * @throws {CannotReplay} there is no such file, or it is another kind of file
 */
export async function* readInvoices(file: string, tally: Tally): AsyncGenerator<Invoice> {
  let current: (Omit<Invoice, 'lines'> & { lines: InvoiceLine[]; endsAt: number }) | undefined;
  for await (const { record, endsAt } of readRows(file, tally)) {
    if (record === null) {
      tally.leaveOut('malformed');
      continue;
    }
    if (current !== undefined && current.invoiceNo !== record.InvoiceNo) {
      yield current;
      current = undefined;
    }
    current ??= { invoiceNo: record.InvoiceNo, customerId: record.CustomerID || undefined, lines: [], endsAt };
    current.endsAt = endsAt;
    const line = lineOf(record);
    if (typeof line === 'string') tally.leaveOut(line);
    else current.lines.push(line);
  }
  if (current !== undefined) yield current;
}

function lineOf({ InvoiceNo, StockCode: sku, Quantity }: Row): InvoiceLine | LeftOutReason {
  if (InvoiceNo.startsWith('C')) return 'cancellation';
  const quantity = /^\d+$/.test(Quantity) ? Number(Quantity) : 0;
  if (quantity === 0) return 'quantity';
  if (quantity > MAX_INT) return 'malformed';
  return sku === '' ? 'noProduct' : { sku, quantity };
}

async function* readRows(file: string, tally: Tally): AsyncGenerator<{ record: Row | null; endsAt: number }> {
  let hasHeader = false;
  let linesRead = 1;
  const parser = parse({
    bom: true,
    info: true,
    raw: true,
    relax_quotes: true,
    skip_empty_lines: true,
    record_delimiter: ['\r\n', '\n', '\r'],
    max_record_size: MAX_LINE,
    skip_records_with_error: true,
    columns: (header: string[]) => {
      hasHeader = true;
      return checkHeader(file, header);
    },
    // A quotation mark without its partner takes the lines that follow with it: they are counted, too.
    on_skip: (error, raw = '') => {
      if (error?.code === 'CSV_MAX_RECORD_SIZE') {
        throw new CannotReplay(
          `${file}: a quotation mark soon after line ${linesRead} has no partner. Correct it, and replay the file again.`,
        );
      }
      tally.leaveOut('malformed', raw.split(/[\r\n]+/).filter((line) => line.trim() !== '').length);
      return undefined;
    },
  });
  pipeline(createReadStream(file), parser, () => {}); // What fails is thrown below.
  try {
    for await (const parsed of parser) {
      const { record, info } = parsedRow.parse(parsed);
      linesRead = info.lines;
      yield { record, endsAt: info.bytes };
    }
  } catch (error) {
    throw error instanceof CannotReplay ? error : new CannotReplay(`${file} could not be read: ${messageOf(error)}`);
  }
  if (!hasHeader) throw new CannotReplay(`${file} is empty: its first line must have the columns ${listed(COLUMNS)}.`);
}

function checkHeader(file: string, header: string[]): string[] {
  const missing = COLUMNS.filter((column) => !header.includes(column));
  if (missing.length === 0) return header;
  throw new CannotReplay(
    `${file} is not a CSV file of invoice lines: its first line must have the columns ${listed(COLUMNS)}, but ${listed(missing)} ${missing.length === 1 ? 'is' : 'are'} missing.`,
  );
}

function listed(names: readonly string[]): string {
  return new Intl.ListFormat('en-GB').format(names);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
