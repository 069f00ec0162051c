import { Fault } from '../graphql-client.ts';
import type { CartApi, ReadCart } from './cart-api.ts';
import { contentsOf, type FilledCart } from './load.ts';
import type { Patience } from './patience.ts';
import type { Tally } from './tally.ts';

/** A cart that is not as it must be. */
export interface Mismatch {
  readonly invoiceNo: string;
  readonly cartId: string;
  readonly problem: string;
}

/** Reads carts back and compares them with what was sent. */
export class Check {
  readonly mismatches: Mismatch[] = [];
  /** Carts that were read. */
  carts = 0;
  /** Totals of the carts by currency, in its smallest unit. */
  readonly totals = new Map<string, number>();
  readonly #api: CartApi;
  readonly #tally: Tally;
  readonly #patience: Patience;

  constructor(api: CartApi, tally: Tally, patience: Patience) {
    this.#api = api;
    this.#tally = tally;
    this.#patience = patience;
  }

  async read({ invoiceNo, cartId, position, contents }: FilledCart): Promise<void> {
    try {
      const cart = await this.#api.readCart(cartId, position);
      this.#patience.answered();
      this.carts += 1;
      if (cart !== null) {
        const { amountMinor, currency } = cart.total;
        this.totals.set(currency, (this.totals.get(currency) ?? 0) + amountMinor);
      }
      for (const problem of problemsOf(cart, contents)) this.mismatches.push({ invoiceNo, cartId, problem });
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#tally.failed(error);
      this.#patience.failed();
    }
  }
}

function problemsOf(cart: ReadCart, contents: readonly string[]): string[] {
  if (cart === null) return ['it is not there'];
  const problems: string[] = [];
  const wrongLine = cart.lines.find((it) => it.lineTotal.amountMinor !== it.quantity * it.unitPrice.amountMinor);
  if (wrongLine !== undefined) problems.push(`the total of its line ${wrongLine.sku} is not quantity x unit price`);
  const sum = cart.lines.reduce((total, it) => total + it.quantity * it.unitPrice.amountMinor, 0);
  if (cart.total.amountMinor !== sum) {
    problems.push(`its total is ${cart.total.amountMinor}, but its lines add up to ${sum}`);
  }
  const pieces = cart.lines.reduce((total, it) => total + it.quantity, 0);
  if (cart.itemCount !== pieces) problems.push(`it counts ${cart.itemCount} pieces, but its lines have ${pieces}`);
  const found = contentsOf(cart.lines.map(({ sku, quantity }) => [sku, quantity]));
  if (!contents.includes(found)) problems.push(`it holds "${found}", but "${contents.join('" or "')}" was sent`);
  return problems;
}
