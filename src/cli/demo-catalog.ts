import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parse } from 'csv-parse/sync';
import { z } from 'zod';
import { SYSTEM } from '../eventsourcing/actor.ts';
import type { Engine } from '../eventsourcing/engine.ts';
import { packageFile } from '../platform/package-root.ts';

const CURRENCY = 'GBP';
const product = z.object({
  sku: z.string(),
  name: z.string(),
  price_minor: z.coerce.number().int(),
  stock: z.coerce.number().int(),
});

/** Coupons to try out, at any time and as often as one likes. */
const COUPONS = [
  { code: 'WELCOME10', label: 'Welcome: 10 percent off', percent: 10 },
  { code: 'FIVEOFF', label: '5 pounds off', amount: { amountMinor: 500, currency: CURRENCY } },
];

/**
 * Adds the demo catalog. Each product and coupon is added by a command with an id made from its sku or code: so it is
 * added once, however often and by however many processes this is done.
 * @returns how many products were added now
 */
export async function addDemoCatalog(engine: Engine): Promise<number> {
  const outcomes = await Promise.all(
    demoProducts().map(({ sku, name, price_minor: amountMinor, stock }) => {
      const commandId = idFor(sku);
      const data = { sku, name, price: { amountMinor, currency: CURRENCY }, stock };
      return engine.executor.execute({ commandId, name: 'AddProduct', data, actor: SYSTEM, correlationId: commandId });
    }),
  );
  await addDemoCoupons(engine);
  await engine.reachAll(['ProductAdded', 'CouponAdded'], engine.tail.head, 30_000);
  return outcomes.filter((it) => it.outcome === 'succeeded' && !it.receipt.replayed).length;
}

async function addDemoCoupons(engine: Engine): Promise<void> {
  await Promise.all(
    COUPONS.map((data) => {
      const commandId = idFor(`coupon ${data.code}`);
      return engine.executor.execute({ commandId, name: 'AddCoupon', data, actor: SYSTEM, correlationId: commandId });
    }),
  );
}

/** Whether the store is empty, or its filling with the demo catalog was interrupted. */
export async function wantsDemoCatalog(engine: Engine): Promise<boolean> {
  if (engine.tail.head === 0) return true;
  const ids = [...demoProducts().map(({ sku }) => idFor(sku)), ...COUPONS.map(({ code }) => idFor(`coupon ${code}`))];
  const { size } = await engine.commands.find(ids);
  return size > 0 && size < ids.length;
}

function demoProducts() {
  return z.array(product).parse(parse(readFileSync(packageFile('seed', 'demo-catalog.csv')), { columns: true }));
}

/** A UUID that is always the same for a sku (version 8: made by hashing). */
function idFor(sku: string): string {
  const hex = createHash('sha256').update(`cartstream demo catalog ${sku}`).digest('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
