import type { PaymentCommand } from '../../src/contexts/payment/commands.ts';
import type { ProviderPayment, ProviderRefund, ProviderStatus } from '../../src/contexts/payment/provider.ts';
import { isClosed, type PaymentState } from '../../src/contexts/payment/state.ts';
import type { CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import type { ShipmentCommand } from '../../src/contexts/shipping/commands.ts';
import type { ShipmentState } from '../../src/contexts/shipping/state.ts';
import type { AnyCommand } from '../../src/eventsourcing/commands/decider.ts';

type Note = Extract<PaymentCommand, { type: 'NoteProviderPayment' }>;
type CarrierNote = Extract<ShipmentCommand, { type: 'NoteCarrierShipment' }>;

const HELD: readonly ProviderStatus[] = ['processing', 'requires_action', 'authorised'];
const NEXT: Partial<Record<ProviderStatus, readonly ProviderStatus[]>> = {
  processing: ['requires_action', 'authorised', 'captured', 'failed'],
  requires_action: ['processing', 'authorised', 'failed'],
  authorised: ['captured', 'cancelled'],
};

/** A payment provider and a carrier in memory that answer at once, and do as they please otherwise. */
export class ModelOutside {
  readonly payments = new Map<string, ProviderPayment>();
  /** All that payments and shipments ever were, to be told at any time, in any order. */
  readonly told: (Note | CarrierNote)[] = [];
  /** As the carrier has them. */
  readonly shipments = new Map<string, CarrierShipment>();
  /** How the next payment begins, and the next refund. */
  begins: ProviderStatus = 'authorised';
  refunds: ProviderRefund['status'] = 'succeeded';

  /** What the performer of a command comes back with. */
  perform({ type, data }: AnyCommand, state: unknown): ProviderPayment | CarrierShipment | undefined {
    const { paymentId = '', refundId = '', shipmentId = '' } = data as Partial<Record<string, string>>;
    if (type === 'RegisterShipment') {
      return (state as ShipmentState).status === 'requested' ? this.#register(shipmentId) : undefined;
    }
    if (type === 'CancelShipment') return this.#callOff(shipmentId, state as ShipmentState);
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

  /** The carrier fetches goods, brings them, or will not take them; it may be long until it tells of that. */
  carry(shipmentId: string, to: Exclude<CarrierShipment['status'], 'prepared'>): void {
    const status = this.shipments.get(shipmentId)?.status;
    if (to === 'delivered' ? status === 'in_transit' : status === 'prepared') this.#carry(shipmentId, to);
  }

  /** How everything stands: what is told in the end by whoever is outside, or if asked. */
  news(): readonly (Note | CarrierNote)[] {
    return [...[...this.payments.values()].map(noteOf), ...[...this.shipments.values()].map(carrierNoteOf)];
  }

  /** A call that tells how a payment or a shipment stood once. */
  call(at: number): Note | CarrierNote | undefined {
    return this.told[at % Math.max(1, this.told.length)];
  }

  #register(shipmentId: string): CarrierShipment {
    return this.shipments.get(shipmentId) ?? this.#carry(shipmentId, 'prepared');
  }

  #callOff(shipmentId: string, { status }: ShipmentState): CarrierShipment | undefined {
    if (status === 'unknown' || status === 'in transit' || status === 'delivered') return undefined;
    const there = this.#register(shipmentId);
    return there.status === 'prepared' ? this.#carry(shipmentId, 'cancelled') : there;
  }

  #carry(shipmentId: string, status: CarrierShipment['status']): CarrierShipment {
    const shipment = { shipmentId, carrier: 'simulated', trackingCode: 'SIM-1', status };
    this.shipments.set(shipmentId, shipment);
    this.told.push(carrierNoteOf(shipment));
    return shipment;
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
    this.told.push(noteOf(now));
    return now;
  }
}

function noteOf(payment: ProviderPayment): Note {
  return { type: 'NoteProviderPayment', data: { paymentId: payment.paymentId, payment } };
}

function carrierNoteOf(shipment: CarrierShipment): CarrierNote {
  return { type: 'NoteCarrierShipment', data: { shipmentId: shipment.shipmentId, shipment } };
}
