import type { PaymentCommand } from '../../src/contexts/payment/commands.ts';
import type { ProviderPayment, ProviderRefund, ProviderStatus } from '../../src/contexts/payment/provider.ts';
import { isClosed, type PaymentState } from '../../src/contexts/payment/state.ts';
import type { CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import type { ShipmentState } from '../../src/contexts/shipping/state.ts';
import type { AnyCommand } from '../../src/eventsourcing/decider.ts';

type Note = Extract<PaymentCommand, { type: 'NoteProviderPayment' }>;

const HELD: readonly ProviderStatus[] = ['processing', 'requires_action', 'authorised'];
const NEXT: Partial<Record<ProviderStatus, readonly ProviderStatus[]>> = {
  processing: ['requires_action', 'authorised', 'captured', 'failed'],
  requires_action: ['processing', 'authorised', 'failed'],
  authorised: ['captured', 'cancelled'],
};

/** A payment provider and a carrier in memory that answer at once, and do as they please otherwise. */
export class ModelOutside {
  readonly payments = new Map<string, ProviderPayment>();
  /** All that payments ever were, to be told at any time, in any order. */
  readonly told: ProviderPayment[] = [];
  /** How the next payment begins, and the next refund. */
  begins: ProviderStatus = 'authorised';
  refunds: ProviderRefund['status'] = 'succeeded';

  /** What the performer of a command comes back with. */
  perform({ type, data }: AnyCommand, state: unknown): ProviderPayment | CarrierShipment | undefined {
    const { paymentId = '', refundId = '', shipmentId = '' } = data as Partial<Record<string, string>>;
    if (type === 'RegisterShipment') {
      return (state as ShipmentState).status === 'requested' ? carried(shipmentId, 'prepared') : undefined;
    }
    if (type === 'CancelAtCarrier') return carried(shipmentId, 'cancelled');
    const payment = state as PaymentState;
    const there = this.payments.get(paymentId);
    switch (type) {
      case 'AuthorisePayment':
        return payment.status === 'requested' ? (there ?? this.#begin(paymentId, payment.amount)) : undefined;
      case 'CapturePayment':
        if (payment.status !== 'authorised' || there === undefined) return undefined;
        return there.status === 'authorised' ? this.#become({ ...there, status: 'captured' }) : there;
      case 'VoidPayment':
        if (!isClosed(payment) || there === undefined) return undefined;
        return HELD.includes(there.status) ? this.#become({ ...there, status: 'cancelled' }) : there;
      case 'SendRefund': {
        const refund = payment.status === 'confirmed' ? payment.refunds.get(refundId) : undefined;
        if (refund?.status !== 'requested' || there === undefined) return undefined;
        return this.#refund(there, { refundId, amountMinor: refund.amountMinor, status: this.refunds });
      }
      default:
        throw new Error(`Nobody performs ${type}.`);
    }
  }

  /** Moves a payment on, as banks and customers do, if it can move there. */
  move(at: number, to: ProviderStatus): void {
    const payment = [...this.payments.values()][at % Math.max(1, this.payments.size)];
    if (payment !== undefined && NEXT[payment.status]?.includes(to) === true) this.#become({ ...payment, status: to });
  }

  /** Ends the refunds that are pending. */
  endRefunds(status: 'succeeded' | 'failed'): void {
    for (const payment of this.payments.values()) {
      if (!payment.refunds.some((it) => it.status === 'pending')) continue;
      const refunds = payment.refunds.map((it) => (it.status === 'pending' ? { ...it, status } : it));
      this.#become({ ...payment, refunds });
    }
  }

  /** How all payments stand: what a provider's calls tell in the end, or whoever asks it. */
  news(): readonly Note[] {
    return [...this.payments.values()].map(noteOf);
  }

  /** A call that tells how a payment stood once. */
  call(at: number): Note | undefined {
    const payment = this.told[at % Math.max(1, this.told.length)];
    return payment === undefined ? undefined : noteOf(payment);
  }

  #begin(paymentId: string, amount: ProviderPayment['amount']): ProviderPayment {
    const status = this.begins;
    const failureReason = status === 'failed' ? 'card_declined' : null;
    const nothing = { refundedMinor: 0, refunds: [], nextAction: null };
    return this.#become({ providerRef: `ref of ${paymentId}`, paymentId, status, amount, failureReason, ...nothing });
  }

  #refund(payment: ProviderPayment, refund: ProviderRefund): ProviderPayment {
    const before = payment.refunds.find((it) => it.refundId === refund.refundId);
    if (before !== undefined) return payment;
    const refunds = [...payment.refunds, refund];
    const promised = refunds.reduce((sum, it) => sum + (it.status === 'failed' ? 0 : it.amountMinor), 0);
    if (payment.status !== 'captured' || promised > payment.amount.amountMinor) {
      throw new Error(`It was asked to pay back ${promised} of what is ${payment.status}.`);
    }
    return this.#become({ ...payment, refunds });
  }

  #become(payment: ProviderPayment): ProviderPayment {
    const done = payment.refunds.filter((it) => it.status === 'succeeded');
    const now = { ...payment, refundedMinor: done.reduce((sum, it) => sum + it.amountMinor, 0) };
    this.payments.set(payment.paymentId, now);
    this.told.push(now);
    return now;
  }
}

function noteOf(payment: ProviderPayment): Note {
  return { type: 'NoteProviderPayment', data: { paymentId: payment.paymentId, payment } };
}

function carried(shipmentId: string, status: CarrierShipment['status']): CarrierShipment {
  return { shipmentId, carrier: 'simulated', trackingCode: 'SIM-1', status };
}
