import type { PaymentProvider, ProviderPayment, ProviderRefund } from '../../src/contexts/payment/provider.ts';

/**
 * How a call goes: it is done and answered, broke before anything was done, was done and the answer was lost, or was given
 * up while it was on its way, and is done later.
 */
export type CallFate = 'answered' | 'broken' | 'answer lost' | 'delayed';
type Status = ProviderPayment['status'];

const HELD: readonly Status[] = ['processing', 'requires_action', 'authorised', 'declined'];

/**
 * A payment provider in memory, which does what it pleases: calls break, answers are lost, and payments move on by
 * themselves. A call that is repeated gives the stored answer, as it was then. What it tells is kept, to be delivered in
 * any order, any number of times, or never.
 */
export class ModelProvider implements PaymentProvider {
  readonly name = 'simulated';
  readonly payments = new Map<string, ProviderPayment>();
  /** What was told of payments: each as it was then. */
  readonly told: ProviderPayment[] = [];
  /** How the next call goes. */
  fate: CallFate = 'answered';
  /** How the next payment begins, and the next refund. */
  begins: Status = 'authorised';
  refunds: ProviderRefund['status'] = 'succeeded';
  readonly #answers = new Map<string, ProviderPayment>();
  readonly #asked = new Map<string, string>();
  readonly #delayed: (() => void)[] = [];

  async authorise(it: Parameters<PaymentProvider['authorise']>[0]): Promise<ProviderPayment> {
    const { paymentId, amount } = it;
    return this.#call(`${paymentId}:authorise`, it, () =>
      this.#become({
        ...{ providerRef: `ref of ${paymentId}`, paymentId, status: this.begins, amount, refundedMinor: 0 },
        ...{
          refunds: [],
          failureReason: ['declined', 'failed'].includes(this.begins) ? 'card_declined' : null,
          nextAction: null,
        },
      }),
    );
  }

  async capture(it: Parameters<PaymentProvider['capture']>[0]): Promise<ProviderPayment> {
    return this.#call(`${it.paymentId}:capture`, it, () => {
      const payment = this.#payment(it.paymentId);
      return payment.status === 'authorised' ? this.#become({ ...payment, status: 'captured' }) : payment;
    });
  }

  async cancel(it: Parameters<PaymentProvider['cancel']>[0]): Promise<ProviderPayment> {
    return this.#call(`${it.paymentId}:cancel:${it.seen}`, it, () => {
      const payment = this.#payment(it.paymentId);
      return HELD.includes(payment.status) ? this.#become({ ...payment, status: 'cancelled' }) : payment;
    });
  }

  async refund(it: Parameters<PaymentProvider['refund']>[0]): Promise<ProviderPayment> {
    return this.#call(`${it.paymentId}:refund:${it.refundId}`, it, () => {
      const payment = this.#payment(it.paymentId);
      const refund = { refundId: it.refundId, amountMinor: it.amount.amountMinor, status: this.refunds };
      const refunds = [...payment.refunds, refund];
      const promised = refunds.reduce(
        (sum, { status, amountMinor }) => sum + (status === 'failed' ? 0 : amountMinor),
        0,
      );
      if (payment.status !== 'captured' || promised > payment.amount.amountMinor) {
        throw new Error(`It was asked to pay back ${promised} of what is ${payment.status}.`);
      }
      return this.#become({ ...payment, refunds });
    });
  }

  async find(paymentId: string): Promise<ProviderPayment | undefined> {
    // Looking does nothing that could be lost, or come later: so it breaks, or does not.
    if (this.fate === 'broken') throw new Error('The provider is away.');
    return this.payments.get(paymentId);
  }

  readWebhook(): undefined {
    return undefined;
  }

  /** Moves a payment on, as banks and customers do, if it can move there. */
  move(paymentId: string, to: Status): void {
    const payment = this.payments.get(paymentId);
    const next: Partial<Record<Status, readonly Status[]>> = {
      processing: ['requires_action', 'authorised', 'captured', 'declined', 'failed'],
      requires_action: ['processing', 'authorised', 'declined', 'failed'],
      // Whoever pays tries it again.
      declined: ['processing', 'requires_action', 'authorised'],
      authorised: ['cancelled'],
    };
    if (payment === undefined || next[payment.status]?.includes(to) !== true) return;
    this.#become({ ...payment, status: to });
  }

  /** What was on its way for long comes in. */
  arrive(): void {
    for (const act of this.#delayed.splice(0)) act();
  }

  /** Ends the refunds that are pending. */
  endRefunds(paymentId: string, status: 'succeeded' | 'failed'): void {
    const payment = this.payments.get(paymentId);
    if (payment?.refunds.some((it) => it.status === 'pending') !== true) return;
    const refunds = payment.refunds.map((it) => (it.status === 'pending' ? { ...it, status } : it));
    this.#become({ ...payment, refunds });
  }

  #become(payment: ProviderPayment): ProviderPayment {
    const refundedMinor = payment.refunds.reduce(
      (sum, { status, amountMinor }) => sum + (status === 'succeeded' ? amountMinor : 0),
      0,
    );
    const now = { ...payment, refundedMinor };
    this.payments.set(payment.paymentId, now);
    this.told.push(now);
    return now;
  }

  #payment(paymentId: string): ProviderPayment {
    const payment = this.payments.get(paymentId);
    if (payment === undefined) throw new Error(`There is no payment ${paymentId}.`);
    return payment;
  }

  #call(key: string, asked: object, act: () => ProviderPayment): ProviderPayment {
    const content = JSON.stringify(asked);
    const before = this.#asked.get(key);
    if (before !== undefined && before !== content) throw new Error(`${key} was asked for otherwise before.`);
    this.#asked.set(key, content);
    if (this.fate === 'broken') throw new Error('The provider is away.');
    const once = () => {
      const answer = this.#answers.get(key) ?? act();
      this.#answers.set(key, answer);
      return answer;
    };
    if (this.fate === 'delayed') {
      this.#delayed.push(once);
      throw new Error('It took too long.');
    }
    const answer = once();
    if (this.fate === 'answer lost') throw new Error('The connection was lost.');
    return answer;
  }
}
