import type { CartRequest } from '../contexts/cart/messages.ts';
import type { CatalogRequest } from '../contexts/catalog/messages.ts';
import type { CustomerRequest } from '../contexts/customers/messages.ts';
import type { OrderRequest } from '../contexts/ordering/messages.ts';
import { CANCELLED_BY_CUSTOMER } from '../contexts/ordering/messages.ts';
import type { PaymentRequest } from '../contexts/payment/messages.ts';
import type { ShipmentRequest } from '../contexts/shipping/messages.ts';
import { idCausedBy } from '../eventsourcing/processes/effect-work.ts';
import type { Checkout } from './checkout-state.ts';
import type { CheckoutStep } from './checkout-steps.ts';

export type CheckoutRequest =
  | CartRequest
  | CatalogRequest
  | CustomerRequest
  | OrderRequest
  | PaymentRequest
  | ShipmentRequest;

/** There is one shipment for each order. */
export function shipmentIdOf(orderId: string): string {
  return idCausedBy('shipment', orderId);
}

/**
 * The commands of a step, made from what the checkout knows: the same whenever it is asked. None where there is nothing
 * to be asked for (no coupon, no payment), or not any more.
 * @param provider who takes the money
 */
export function requestsFor(
  step: CheckoutStep,
  state: Checkout,
  orderId: string,
  provider: string,
): readonly CheckoutRequest[] {
  const { phase, cartId, customerId, couponCode, payment, paid, cancellation, end } = state;
  const lines = state.lines.map(({ sku, quantity }) => ({ sku, quantity }));
  const reason = end?.reason ?? (cancellation === null ? 'REFUSED' : CANCELLED_BY_CUSTOMER);
  switch (step) {
    case 'RedeemCoupon':
      return couponCode === null ? [] : [{ type: step, data: { code: couponCode, orderId } }];
    case 'ReleaseCoupon':
      return couponCode === null || !state.isRedeemed ? [] : [{ type: step, data: { code: couponCode, orderId } }];
    case 'ReserveStock':
      return [{ type: step, data: { orderId, lines, expiresAt: state.reservedUntil } }];
    case 'PlaceOrder':
      return [placing(state, orderId)];
    case 'CompleteCartCheckOut':
      return [{ type: step, data: { cartId, orderId } }];
    case 'CancelCartCheckOut': {
      const isOwn = phase === 'refused' && !state.isClosed;
      const own: CheckoutRequest[] = isOwn ? [{ type: step, data: { cartId, orderId, reason } }] : [];
      return [...own, ...[...state.otherCarts.keys()].map((other) => closingOther(other, orderId))];
    }
    case 'RecordCustomer': {
      const name = state.shippingAddress?.name ?? null;
      return [{ type: step, data: { customerId, email: state.email, name } }];
    }
    case 'RequestPayment': {
      if (payment === null) return [];
      const { paymentId, amount, commandId: tokenCommandId } = payment;
      return [{ type: step, data: { paymentId, orderId, customerId, amount, tokenCommandId, provider } }];
    }
    case 'NoteOrderPaymentFailed':
      if (payment?.failure == null) return [];
      return [{ type: step, data: { orderId, paymentId: payment.paymentId, reason: payment.failure } }];
    case 'TimeOutPayment':
      return payment === null ? [] : [{ type: step, data: { paymentId: payment.paymentId } }];
    case 'CancelPayment':
      return payment === null ? [] : [{ type: step, data: { paymentId: payment.paymentId, reason } }];
    case 'CommitStock':
      return phase === 'selling' ? [{ type: step, data: { orderId, lines } }] : [];
    case 'ReleaseStock':
      return state.isReserved ? [{ type: step, data: { orderId, lines, reason } }] : [];
    case 'NoteOrderPaid':
      return phase === 'sold' ? [{ type: step, data: { orderId, paymentId: paid?.paymentId ?? null } }] : [];
    case 'RequestShipment':
      if (phase !== 'shipping') return [];
      return [
        {
          type: step,
          data: { shipmentId: shipmentIdOf(orderId), orderId, customerId, address: state.shippingAddress },
        },
      ];
    case 'NoteOrderPreparation':
      return [{ type: step, data: { orderId, shipmentId: shipmentIdOf(orderId) } }];
    case 'NoteOrderShipped':
      return state.carriage === null ? [] : [{ type: step, data: { orderId, ...state.carriage } }];
    case 'NoteOrderDelivered':
      return [{ type: step, data: { orderId, shipmentId: shipmentIdOf(orderId) } }];
    case 'CancelShipment':
      return cancellation === null ? [] : [{ type: step, data: { shipmentId: shipmentIdOf(orderId), reason } }];
    case 'RefuseOrderCancellation':
      return [{ type: step, data: { orderId, reason: 'SHIPPED' } }];
    case 'CompleteOrderCancellation':
      return [{ type: step, data: { orderId, reason } }];
    case 'RefundPayment':
      return [...state.refunds].map(([refundId, refund]) => ({ type: step, data: { refundId, ...refund } }));
    case 'RestockReturn':
      return [...state.returns].map(([returnId, back]) => ({
        type: step,
        data: { orderId, returnId, lines: [...back] },
      }));
    case 'NoteOrderRefunded':
      return state.refunded.map((refund) => ({ type: step, data: { orderId, ...refund } }));
    default:
      return step satisfies never;
  }
}

/** Opens a cart again that was to become an order of an id that is taken. */
export function closingOther(cartId: string, orderId: string): CheckoutRequest {
  return { type: 'CancelCartCheckOut', data: { cartId, orderId, reason: 'ID_TAKEN' } };
}

function placing(state: Checkout, orderId: string): CheckoutRequest {
  const { cartId, customerId, ownerId, currency, lines, discounts, paymentDeadline, email, shippingAddress } = state;
  const whose = { orderId, cartId, customerId, ownerId, email, shippingAddress };
  return {
    type: 'PlaceOrder',
    data: { ...whose, currency, lines: [...lines], discounts: [...discounts], paymentDeadline },
  };
}
