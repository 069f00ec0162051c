import { Fault } from '../graphql-client.ts';
import type { Rejected } from './answers.ts';
import { buyerOf } from './buyer.ts';
import { Latencies } from './latencies.ts';
import type { FilledCart } from './load.ts';
import type { OrderApi, Ordered } from './order-api.ts';
import { OrderAudit } from './order-audit.ts';
import type { Patience } from './patience.ts';
import type { Tally } from './tally.ts';

/** The simulated payment provider takes the money of this one at once. */
const PAYMENT_TOKEN = 'tok_ok';
/** Of an order that nobody has paid, or taken for paid, yet. */
const AWAITS_PAYMENT = 'PLACED';

/**
 * What becomes of a cart: `empty` ones, and those `inDoubt` whose contents are not known for sure, are left as they are;
 * one that is `refused` at its check-out stays, too. `unpaid`: an order, but its payment was refused. `failed`: a fault,
 * after which it is not known how far it has come.
 */
export type CheckOutOutcome = 'paid' | 'empty' | 'inDoubt' | 'refused' | 'unpaid' | 'failed';

/** Makes paid orders of carts, reads them back, and checks them. */
export class CheckOut {
  readonly outcomes: Record<CheckOutOutcome, number> = {
    paid: 0,
    empty: 0,
    inDoubt: 0,
    refused: 0,
    unpaid: 0,
    failed: 0,
  };
  /** Orders that were placed. */
  placed = 0;
  readonly audit = new OrderAudit();
  /** From when a check-out was first sent until it was decided, and the same of payments. */
  readonly checkOuts = new Latencies();
  readonly payments = new Latencies();
  readonly #api: OrderApi;
  readonly #tally: Tally;
  readonly #patience: Patience;

  constructor(api: OrderApi, tally: Tally, patience: Patience) {
    this.#api = api;
    this.#tally = tally;
    this.#patience = patience;
  }

  /** How many carts were gone through. */
  get carts(): number {
    return Object.values(this.outcomes).reduce((sum, count) => sum + count, 0);
  }

  async order(cart: FilledCart): Promise<void> {
    this.outcomes[await this.#outcomeOf(cart)] += 1;
  }

  async #outcomeOf(cart: FilledCart): Promise<CheckOutOutcome> {
    const [contents, ...others] = cart.contents;
    if (others.length > 0) return 'inDoubt';
    if (contents === '') return 'empty';
    try {
      return await this.#checkOut(cart);
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#tally.failed(error);
      this.#patience.failed();
      return 'failed';
    }
  }

  async #checkOut(cart: FilledCart): Promise<CheckOutOutcome> {
    const { invoiceNo, customerId, cartId } = cart;
    const buyer = buyerOf(invoiceNo, customerId);
    const checkOut = () => this.#api.checkOut(cartId, buyer);
    const placed = await this.#run(this.checkOuts, `the cart ${cartId} of invoice ${invoiceNo}`, checkOut);
    if (placed.outcome === 'rejected') return 'refused';
    this.placed += 1;
    const { orderId, status, totalMinor } = placed;
    let { position } = placed;
    // What costs nothing is paid by itself.
    if (status === AWAITS_PAYMENT && totalMinor > 0) {
      const pay = () => this.#api.pay(orderId, PAYMENT_TOKEN);
      const paid = await this.#run(this.payments, `the order ${orderId} of invoice ${invoiceNo}`, pay);
      if (paid.outcome === 'rejected') return 'unpaid';
      position = paid.position ?? position;
    }
    this.audit.check(await this.#api.readPaid(orderId, position), { invoiceNo, orderId, contents: cart.contents });
    this.#patience.answered();
    return 'paid';
  }

  /** Sends a command, and measures it. @throws {Fault} */
  async #run(latencies: Latencies, what: string, send: () => Promise<Ordered | Rejected>): Promise<Ordered | Rejected> {
    const begun = performance.now();
    const answer = await send();
    latencies.record(performance.now() - begun);
    this.#patience.answered();
    if (answer.outcome === 'rejected') {
      this.#tally.rejected(answer.code);
      this.#tally.unexpectedlyRejected(answer.code, `${what}: ${answer.message}`);
    }
    return answer;
  }
}
