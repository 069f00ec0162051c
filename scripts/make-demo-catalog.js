/**
 * Makes the demo catalog out of invoice lines of the Online Retail data set: one row per product.
 *
 *     node scripts/make-demo-catalog.js seed/online-retail-1000.csv > seed/demo-catalog.csv
 *
 * A product's name is its first description, its price the most frequent one above 0 (of equals the first seen), its
 * stock a number that depends on nothing but its sku, so that the catalog is the same each time.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { parse } from 'csv-parse/sync';

const PRODUCT_CODE = /^\d{5}[A-Z]*$/i;
const MIN_STOCK = 1_000;
const MAX_STOCK = 5_000;
const ABBREVIATIONS = new Set(['LED', 'TV', 'US', 'WC']);
const SMALL_WORDS = new Set(['a', 'and', 'in', 'of', 'on', 'the', 'to', 'with']);

const [input] = process.argv.slice(2);
if (input === undefined) {
  console.error('Usage: node scripts/make-demo-catalog.js INVOICES.csv > CATALOG.csv');
  process.exit(2);
}

const products = new Map();
for (const line of parse(readFileSync(input), { columns: true, bom: true })) {
  const sku = line.StockCode.toUpperCase();
  if (!PRODUCT_CODE.test(sku)) continue;
  const product = products.get(sku) ?? { description: '', prices: new Map() };
  products.set(sku, product);
  product.description ||= line.Description.trim();
  const pence = Math.round(Number(line.UnitPrice) * 100);
  if (pence > 0) product.prices.set(pence, (product.prices.get(pence) ?? 0) + 1);
}

console.log('sku,name,price_minor,stock');
for (const [sku, { description, prices }] of [...products].sort(([a], [b]) => (a < b ? -1 : 1))) {
  if (description === '' || prices.size === 0) continue;
  console.log([sku, titleCase(description), mostFrequent(prices), stockOf(sku)].map(csvField).join(','));
}

function titleCase(text) {
  const words = text.split(/\s+/);
  return words.map((word, index) => titleCaseWord(word, index === 0)).join(' ');
}

/** Leaves alone what is not all capitals ("500g"), and what follows an apostrophe ("Children's"). */
function titleCaseWord(word, isFirst) {
  if (word !== word.toUpperCase() || ABBREVIATIONS.has(word)) return word;
  const lower = word.toLowerCase();
  if (!isFirst && SMALL_WORDS.has(lower)) return lower;
  return lower.replace(/(?<![a-z'])[a-z]/g, (letter) => letter.toUpperCase());
}

/** A map keeps the order of insertion, and the sort is stable: of equals the first seen. */
function mostFrequent(counts) {
  return [...counts].sort(([, a], [, b]) => b - a)[0][0];
}

function stockOf(sku) {
  const number = createHash('sha256').update(sku).digest().readUInt32BE(0);
  return MIN_STOCK + (number % (MAX_STOCK - MIN_STOCK + 1));
}

function csvField(value) {
  const text = String(value);
  return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}
