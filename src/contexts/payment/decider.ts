import type { Decider, Decision, DecisionContext } from '../../eventsourcing/commands/decider.ts';
import { illegalState, notFound } from '../../eventsourcing/commands/rejection.ts';
import type { PaymentCommand } from './commands.ts';
import type { PaymentEvent } from './events.ts';
import { heard, ProviderDisagrees } from './provider-decider.ts';
import { type ProviderPayment, performedPayment, TOKEN_GONE } from './provider-state.ts';
import { evolvePayment, isClosed, type KnownPayment, type PaymentState, refundableMinor } from './state.ts';

type CommandData<Type extends PaymentCommand['type']> = Extract<PaymentCommand, { type: Type }>['data'];

/**
 * One payment of an order. Two things must never happen: that money is taken twice, and that money which was taken is
 * not known of. So the provider is asked by commands of their own, whose repeats it recognises, and all that it tells, as
 * an answer, by a call, or when it is asked how things stand, goes the same way: through `heard`.
 */
export const paymentDecider: Decider<PaymentState, PaymentCommand, PaymentEvent> = {
  initialState: { status: 'unknown' },
  decide(command, state, context) {
    if (command.type === 'RequestPayment') return request(command.data, state);
    const { paymentId } = command.data;
    if (state.status === 'unknown') return notFound('payment', paymentId);
    switch (command.type) {
      case 'AuthorisePayment':
      case 'CapturePayment':
      case 'VoidPayment':
      case 'ReconcilePayment':
      case 'SendRefund':
        return performed(paymentId, state, context);
      case 'NoteProviderPayment':
        return noted(paymentId, state, command.data.payment);
      case 'TimeOutPayment':
        return close(paymentId, state, { type: 'PaymentTimedOut', data: { orderId: state.orderId } });
      case 'CancelPayment': {
        const { reason } = command.data;
        return close(paymentId, state, { type: 'PaymentCancelled', data: { orderId: state.orderId, reason } });
      }
      case 'RefundPayment':
        return refund(command.data, state);
      default:
        return command satisfies never;
    }
  },
  evolve: evolvePayment,
};

function request(data: CommandData<'RequestPayment'>, state: PaymentState): Decision<PaymentEvent> {
  const { paymentId, orderId, customerId, amount, provider, tokenCommandId } = data;
  if (state.status !== 'unknown') {
    return state.orderId === orderId && state.tokenCommandId === tokenCommandId
      ? []
      : illegalState(shown(state), `There is a payment ${paymentId} already.`);
  }
  const requested: PaymentEvent = {
    type: 'PaymentRequested',
    data: { orderId, customerId, amount, provider, tokenCommandId },
  };
  if (amount.amountMinor > 0) return [requested];
  return [requested, { type: 'PaymentConfirmed', data: { orderId, providerRef: null, amount, isLate: false } }];
}

/** Its calls come in the payment's own lane. One that makes no sense is refused there, so that nothing waits behind it. */
function noted(paymentId: string, state: KnownPayment, told: ProviderPayment): Decision<PaymentEvent> {
  try {
    return heard(state, paymentId, told);
  } catch (error) {
    if (error instanceof ProviderDisagrees) return error.rejection;
    throw error;
  }
}

/** What the provider answered, to a call that was made, or not, on the state of a moment ago. */
function performed(paymentId: string, state: KnownPayment, context: DecisionContext<never>): Decision<PaymentEvent> {
  const answer = performedPayment.parse(context.performed);
  if (answer === undefined) return [];
  if (answer !== TOKEN_GONE) return heard(state, paymentId, answer);
  if (state.status !== 'requested') return [];
  return [
    { type: 'PaymentFailed', data: { orderId: state.orderId, reason: TOKEN_GONE, providerRef: null, isOver: false } },
  ];
}

function close(paymentId: string, state: KnownPayment, event: PaymentEvent): Decision<PaymentEvent> {
  if (isClosed(state)) return [];
  if (state.status === 'confirmed') return illegalState(shown(state), `The payment ${paymentId} is confirmed.`);
  return [event];
}

function refund(
  { paymentId, refundId, amount }: CommandData<'RefundPayment'>,
  state: KnownPayment,
): Decision<PaymentEvent> {
  if (state.status !== 'confirmed') {
    return illegalState(shown(state), `The payment ${paymentId} is not confirmed: there is nothing to pay back.`);
  }
  const known = state.refunds.get(refundId);
  if (known?.amountMinor === amount.amountMinor && amount.currency === state.amount.currency) return [];
  if (known !== undefined) return illegalState('REFUND_KNOWN', `The refund ${refundId} is of another amount.`);
  if (amount.currency !== state.amount.currency) {
    return illegalState('OTHER_CURRENCY', `The payment ${paymentId} is in ${state.amount.currency}.`);
  }
  const left = refundableMinor(state);
  if (amount.amountMinor > left) {
    const message = `Of the payment ${paymentId}, ${left} can still be paid back, not ${amount.amountMinor}.`;
    return illegalState('NOT_ENOUGH_LEFT', message);
  }
  return [{ type: 'PaymentRefundRequested', data: { orderId: state.orderId, refundId, amount } }];
}

function shown({ status }: KnownPayment): string {
  return status.toUpperCase().replaceAll(' ', '_');
}
