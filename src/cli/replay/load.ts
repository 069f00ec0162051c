import { Fault } from '../graphql-client.ts';
import type { Rejected } from './answers.ts';
import type { Added, CartApi, Created } from './cart-api.ts';
import type { Invoice, InvoiceLine } from './invoices.ts';
import type { Patience } from './patience.ts';
import type { Tally } from './tally.ts';

/** A cart that was filled, and what must be found in it. */
export interface FilledCart {
  readonly invoiceNo: string;
  /** Of the invoice; undefined: a guest's. */
  readonly customerId: string | undefined;
  readonly cartId: string;
  /** Of its newest event that is known. */
  readonly position: string | null;
  /** `contentsOf` what was acknowledged; with a line in doubt, also the contents with it. */
  readonly contents: readonly string[];
}

/** Pieces of each sku, as a text to compare and to show; kept for every cart, so that it must be small. */
export function contentsOf(lines: Iterable<readonly [sku: string, quantity: number]>): string {
  return Array.from(lines, ([sku, quantity]) => `${quantity} x ${sku}`).join(', ');
}

/** Turns invoices into carts. */
export class Load {
  readonly #api: CartApi;
  readonly #tally: Tally;
  readonly #currency: string;
  readonly #patience: Patience;

  constructor(api: CartApi, tally: Tally, currency: string, patience: Patience) {
    this.#api = api;
    this.#tally = tally;
    this.#currency = currency;
    this.#patience = patience;
  }

  /**
   * Makes a cart and adds the lines, one after the other. After a fault the invoice ends: whether that line is in the
   * cart is unknown, and a later one would stand before it.
   * @returns undefined where there is no cart
   */
  async fill(invoice: Invoice): Promise<FilledCart | undefined> {
    const { invoiceNo, lines } = invoice;
    const { invoices, lines: counts } = this.#tally;
    invoices.read += 1;
    if (lines.length === 0) {
      invoices.empty += 1;
      return undefined;
    }
    const created = await this.#run(() => this.#api.createCart(this.#currency));
    if (created?.outcome !== 'created') {
      invoices.failed += 1;
      counts.unsent += lines.length;
      if (created !== undefined) this.#countUnexpected(created, `invoice ${invoiceNo}`);
      return undefined;
    }
    this.#tally.carts += 1;
    return this.#addLines(invoice, created);
  }

  async #addLines({ invoiceNo, customerId, lines }: Invoice, cart: Created): Promise<FilledCart> {
    const { cartId } = cart;
    const { lines: counts } = this.#tally;
    const quantities = new Map<string, number>();
    const contents: string[] = [];
    let { position } = cart;
    for (const [index, line] of lines.entries()) {
      const { sku, quantity } = line;
      const answer = await this.#run(() => this.#api.addItem(cartId, sku, quantity));
      if (answer === undefined) {
        counts.inDoubt += 1;
        counts.unsent += lines.length - index - 1;
        contents.push(contentsOf(withLine(quantities, line)));
        break;
      }
      if (answer.outcome === 'rejected') {
        this.#countRejected(answer, `invoice ${invoiceNo}, ${quantity} x ${sku}`);
        continue;
      }
      counts.added += 1;
      quantities.set(sku, (quantities.get(sku) ?? 0) + quantity);
      position = answer.position ?? position;
    }
    return { invoiceNo, customerId, cartId, position, contents: [contentsOf(quantities), ...contents] };
  }

  /** Sends a command, and measures it. @returns undefined after a fault */
  async #run<Answer extends Created | Added | Rejected>(send: () => Promise<Answer>): Promise<Answer | undefined> {
    const begun = performance.now();
    try {
      const answer = await send();
      this.#tally.answered(performance.now() - begun);
      this.#patience.answered();
      if (answer.outcome === 'rejected') this.#tally.rejected(answer.code);
      return answer;
    } catch (error) {
      if (!(error instanceof Fault)) throw error;
      this.#tally.failed(error);
      this.#patience.failed();
      return undefined;
    }
  }

  #countRejected(rejected: Rejected, where: string): void {
    if (rejected.isNoProduct) {
      this.#tally.leaveOut('noProduct');
      return;
    }
    this.#tally.lines.rejected += 1;
    this.#countUnexpected(rejected, where);
  }

  #countUnexpected({ code, message }: Rejected, where: string): void {
    this.#tally.unexpectedlyRejected(code, `${where}: ${message}`);
  }
}

function withLine(quantities: ReadonlyMap<string, number>, { sku, quantity }: InvoiceLine): Map<string, number> {
  return new Map(quantities).set(sku, (quantities.get(sku) ?? 0) + quantity);
}
