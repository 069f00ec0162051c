import { randomUUID } from 'node:crypto';
import type { CartCommand } from '../../src/contexts/cart/commands.ts';
import type { CouponRow } from '../../src/contexts/cart/coupon-projection.ts';
import { cartDecider } from '../../src/contexts/cart/decider.ts';
import type { CartEvent } from '../../src/contexts/cart/events.ts';
import { type CartFact, couponKey, productKey } from '../../src/contexts/cart/facts.ts';
import type { CartProductRow } from '../../src/contexts/cart/product-copy.ts';
import { type CartRow, cartProjection } from '../../src/contexts/cart/projection.ts';
import type { PastContents } from '../../src/contexts/cart/restore-commands.ts';
import type { CartState } from '../../src/contexts/cart/state.ts';
import { planUndo } from '../../src/contexts/cart/undoing.ts';
import { type Actor, SYSTEM } from '../../src/eventsourcing/actor.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import type { Rejection } from '../../src/eventsourcing/commands/rejection.ts';
import type { RecordedEvent } from '../../src/eventsourcing/log/event.ts';
import { add, CART, coupon, product } from './carts.ts';

/** What was in a cart, as its state says. */
export function contentsOf(state: CartState): PastContents {
  if (state.status === 'unknown') return { lines: [], couponCode: null };
  return { lines: [...state.lines].map(([sku, line]) => ({ sku, ...line })), couponCode: state.coupon?.code ?? null };
}

/** One cart in memory, in a shop whose prices and stock change: its log, and its past. */
export class OneCart {
  readonly log: RecordedEvent[] = [];
  readonly products = new Map<string, CartProductRow>();
  readonly coupons = new Map<string, CouponRow>();
  state: CartState = cartDecider.initialState;
  row: CartRow | undefined;

  constructor(owner: Actor, skus: readonly string[], codes: readonly string[] = []) {
    for (const sku of skus) this.sell(sku, {});
    for (const code of codes) this.coupons.set(code, coupon(code));
    this.run({ type: 'CreateCart', data: { cartId: CART, currency: 'GBP' } }, owner);
  }

  /** One piece of each of these, by a command each. */
  with(actor: Actor, skus: readonly string[]): this {
    for (const sku of skus) this.run(add(sku, 1), actor);
    return this;
  }

  sell(sku: string, changes: Partial<CartProductRow>): void {
    const [, row] = product(sku, { ...this.products.get(sku), ...changes });
    this.products.set(sku, row);
  }

  /** @returns its events, or why there are none */
  run(command: CartCommand, actor: Actor): readonly CartEvent[] | Rejection {
    const facts = new Map<string, CartFact>([
      ...[...this.products].map(([sku, row]) => [productKey(sku), row] as const),
      ...[...this.coupons].map(([code, row]) => [couponKey(code), row] as const),
    ]);
    const decision = cartDecider.decide(command, this.state, { actor, now: new Date('2030-01-31T12:00:00Z'), facts });
    if (isRejection(decision)) return decision;
    const commandId = randomUUID();
    for (const event of decision) this.#append(event, actor, commandId);
    return decision;
  }

  restore(toVersion: number, actor: Actor) {
    const past = contentsOf(this.stateAsOf(toVersion));
    return this.run({ type: 'RestoreCart', data: { cartId: CART, toVersion, past } }, actor);
  }

  async undo(actor: Actor) {
    const readAt = this.log.length;
    const log = this.log;
    const plan = await planUndo(readAt, actor, async function* (version) {
      yield* log.slice(0, version).reverse();
    });
    const step = plan.kind === 'UNDO' ? { ...plan, past: contentsOf(this.stateAsOf(plan.toVersion)) } : plan;
    return this.run({ type: 'UndoCartChange', data: { cartId: CART, readAt, step } }, actor);
  }

  abandon(): void {
    this.run({ type: 'AbandonCart', data: { cartId: CART } }, SYSTEM);
  }

  stateAsOf(version: number): CartState {
    return this.log
      .slice(0, version)
      .reduce<CartState>((it, event) => cartDecider.evolve(it, event as CartEvent & RecordedEvent), {
        status: 'unknown',
      });
  }

  rowAsOf(version: number): CartRow | undefined {
    return this.log
      .slice(0, version)
      .reduce<CartRow | undefined>((it, event) => cartProjection.evolveRow(it, event), undefined);
  }

  #append({ type, data }: CartEvent, actor: Actor, commandId: string): void {
    const place = this.log.length + 1;
    const recorded: RecordedEvent = {
      ...{ eventId: randomUUID(), type, schemaVersion: 1, data, actor, commandId },
      ...{ streamId: `cart-${CART}`, aggregateType: 'cart', aggregateId: CART, version: place, position: place },
      ...{
        correlationId: commandId,
        causationId: commandId,
        recordedAt: new Date(Date.UTC(2030, 0, 31, 12, 0, place)),
      },
    };
    this.log.push(recorded);
    this.state = cartDecider.evolve(this.state, { type, data } as CartEvent);
    this.row = cartProjection.evolveRow(this.row, recorded);
  }
}
