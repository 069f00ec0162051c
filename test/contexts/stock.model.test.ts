import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { StockCommand } from '../../src/contexts/catalog/commands.ts';
import type { StockEvent } from '../../src/contexts/catalog/events.ts';
import { type ProductRow, productProjection } from '../../src/contexts/catalog/projection.ts';
import { stockDecider } from '../../src/contexts/catalog/stock-decider.ts';
import { availableOf, type OpenStock, type StockState } from '../../src/contexts/catalog/stock-state.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import { ANONYMOUS } from '../support/given.ts';
import { recorded } from '../support/recorded.ts';
import { adjust, at, commit, opened, release, reserve, restock } from '../support/stock.ts';

const orderId = fc.nat(12).map((it) => `order ${it}`);
const quantity = fc.integer({ min: 1, max: 8 });
const hour = fc.integer({ min: 0, max: 23 });
/** A command, and at what hour it is decided: hours go on, so that reservations expire. */
const command = fc.oneof<fc.Arbitrary<StockCommand>[]>(
  fc.tuple(orderId, quantity, hour).map(([order, pieces, until]) => reserve(order, pieces, until)),
  fc.tuple(orderId, quantity, hour).map(([order, pieces, until]) => reserve(order, pieces, until)),
  orderId.map((order) => commit(order)),
  orderId.map((order) => release(order)),
  fc.tuple(orderId, quantity, fc.nat(6)).map(([order, pieces, back]) => restock(order, pieces, `return ${back}`)),
  fc.integer({ min: -10, max: 10 }).map(adjust),
);
const step = fc.record({ command, hours: fc.constantFrom(0, 0, 0, 1), isRepeated: fc.boolean() });

/** What an independent bookkeeper knows of the events. */
class Ledger {
  brought = 0;
  readonly held = new Map<string, { quantity: number; expiresAt: string }>();
  readonly sold = new Map<string, number>();

  book(event: StockEvent, now: Date): void {
    switch (event.type) {
      case 'StockOpened':
        this.brought += event.data.quantity;
        return;
      case 'StockAdjusted':
        this.brought += event.data.delta;
        return;
      case 'StockReserved':
        expect(this.held.has(event.data.orderId) || this.sold.has(event.data.orderId)).toBe(false);
        this.held.set(event.data.orderId, event.data);
        return;
      case 'StockReservationExpired':
        expect(Date.parse(this.held.get(event.data.orderId)?.expiresAt ?? '')).toBeLessThanOrEqual(now.getTime());
        this.#end(event.data);
        return;
      case 'StockCommitted':
        this.#end(event.data);
        this.sold.set(event.data.orderId, event.data.quantity);
        return;
      case 'StockReleased':
        if (this.held.has(event.data.orderId)) this.#end(event.data);
        else this.#comeBack(event.data);
        return;
      case 'StockRestocked':
        this.#comeBack(event.data);
        return;
      default:
        event satisfies never;
    }
  }

  get sum() {
    const reserved = [...this.held.values()].reduce((sum, it) => sum + it.quantity, 0);
    const sold = [...this.sold.values()].reduce((sum, pieces) => sum + pieces, 0);
    return { reserved, sold, onHand: this.brought - sold };
  }

  #end({ orderId, quantity }: { orderId: string; quantity: number }): void {
    expect(this.held.get(orderId)?.quantity).toBe(quantity);
    this.held.delete(orderId);
  }

  #comeBack({ orderId, quantity }: { orderId: string; quantity: number }): void {
    const left = (this.sold.get(orderId) ?? 0) - quantity;
    expect(left).toBeGreaterThanOrEqual(0);
    this.sold.set(orderId, left);
  }
}

function committedIn({ orders }: OpenStock): number {
  return [...orders].reduce((sum, [, order]) => sum + (order.status === 'committed' ? order.quantity : 0), 0);
}

const seen = new Set<string>();

test('Whatever is done in any order and however often, nothing is sold that is not there, and everything adds up', () => {
  fc.assert(
    fc.property(fc.nat(20), fc.array(step, { maxLength: 120, size: 'max' }), (first, steps) => {
      const ledger = new Ledger();
      const events: StockEvent[] = [];
      let state: StockState = stockDecider.initialState;
      let now = at(0);
      const happen = (event: StockEvent) => {
        state = stockDecider.evolve(state, event);
        events.push(event);
        seen.add(event.type);
        ledger.book(event, now);
        if (state.status === 'unknown') throw new Error('It was opened.');
        const { reserved, sold, onHand } = ledger.sum;
        expect(state).toMatchObject({ reserved, onHand });
        expect(availableOf(state)).toBe(onHand - reserved);
        expect(availableOf(state)).toBeGreaterThanOrEqual(0);
        expect(committedIn(state)).toBe(sold);
      };
      happen(opened(first));
      for (const { command, hours, isRepeated } of steps) {
        now = new Date(now.getTime() + hours * 3_600_000);
        const decide = () =>
          stockDecider.decide(command, state, { actor: ANONYMOUS, now, facts: new Map<string, never>() });
        const decision = decide();
        if (isRejection(decision)) {
          seen.add(decision.code);
          continue;
        }
        for (const event of decision) happen(event);
        // What is repeated changes nothing. A delivery is no repeat: it is known by its command's id alone.
        if (isRepeated && command.type !== 'AdjustStock') expect(decide()).toEqual([]);
      }
      const product = {
        type: 'ProductAdded',
        data: { sku: 'A', name: 'A', price: { amountMinor: 1, currency: 'GBP' } },
      };
      const row = recorded('stock', 'A', [product, ...events]).reduce<ProductRow | undefined>(
        productProjection.evolveRow,
        undefined,
      );
      const { reserved, onHand } = ledger.sum;
      expect(row).toMatchObject({ available: onHand - reserved, stockVersion: events.length + 1 });
    }),
    { numRuns: 400 },
  );
  // Otherwise it was not shown for them.
  expect([...seen]).toEqual(
    expect.arrayContaining([
      ...['StockAdjusted', 'StockReserved', 'StockReservationExpired', 'StockCommitted', 'StockReleased'],
      ...['StockRestocked', 'INSUFFICIENT_STOCK', 'ILLEGAL_STATE'],
    ]),
  );
});

/** Decides and evolves so many orders in one stream, all held at once, then sold. @returns milliseconds of this thread */
function timeFor(orders: number): number {
  const before = process.cpuUsage();
  let state = stockDecider.evolve(stockDecider.initialState, opened(orders));
  const run = (command: StockCommand) => {
    const decision = stockDecider.decide(command, state, {
      actor: ANONYMOUS,
      now: at(12),
      facts: new Map<string, never>(),
    });
    if (isRejection(decision)) throw new Error(decision.message);
    for (const event of decision) state = stockDecider.evolve(state, event);
  };
  for (let order = 0; order < orders; order += 1) run(reserve(`order ${order}`, 1, 13));
  for (let order = 0; order < orders; order += 1) run(commit(`order ${order}`));
  expect(state).toMatchObject({ onHand: 0, reserved: 0 });
  return process.cpuUsage(before).user / 1_000;
}

test('A stream with fifty thousand orders is not slower for each than one with five thousand', () => {
  timeFor(5_000);
  const few = Math.min(...[1, 2, 3].map(() => timeFor(5_000)));
  // Ten times as many take ten times as long; copied at each event, a hundred times.
  expect(timeFor(50_000) / few).toBeLessThan(40);
});
