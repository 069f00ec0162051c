import { z } from 'zod';
import type { PerformedCommand, Performer } from '../../eventsourcing/commands/performer.ts';
import { type PaymentCommand, sendRefund } from './commands.ts';
import type { PaymentProvider, ProviderPayment } from './provider.ts';
import { TOKEN_GONE } from './provider-state.ts';
import { capture, letGo, payBack, reconcile } from './reconciliation.ts';
import { isClosed, type KnownPayment, type PaymentState, type RequestedPayment } from './state.ts';

type PerformedPaymentCommand = Extract<
  PaymentCommand,
  { type: 'AuthorisePayment' | 'CapturePayment' | 'VoidPayment' | 'ReconcilePayment' | 'SendRefund' }
>;

/** Asks the provider, as far as the payment's state still wants it. */
type Ask = (
  payment: KnownPayment,
  paymentId: string,
  command: PerformedCommand,
) => Promise<ProviderPayment | typeof TOKEN_GONE | undefined>;

/** Who does what the commands of a payment ask of its provider, by their names. */
export function createPaymentPerformers(
  provider: PaymentProvider,
): Readonly<Record<PerformedPaymentCommand['type'], Performer>> {
  const asking =
    (ask: Ask): Performer =>
    async (command) => {
      const { paymentId } = paymentOf.parse(command.data);
      const payment = command.state as PaymentState;
      if (payment.status === 'unknown') return undefined;
      if (payment.provider !== provider.name) {
        throw new Error(`Payment ${paymentId} is with ${payment.provider}, but this server asks ${provider.name}.`);
      }
      return ask(payment, paymentId, command);
    };
  return {
    AuthorisePayment: asking(async (payment, paymentId, command) =>
      payment.status === 'requested' ? authorise(provider, payment, paymentId, command) : undefined,
    ),
    CapturePayment: asking(async (payment, paymentId) =>
      payment.status === 'authorised' ? capture(provider, payment, paymentId) : undefined,
    ),
    VoidPayment: asking(async (payment, paymentId) =>
      isClosed(payment) ? letGo(provider, payment, paymentId) : undefined,
    ),
    ReconcilePayment: asking(async (payment, paymentId) => reconcile(provider, payment, paymentId)),
    SendRefund: asking(async (payment, paymentId, { data }) => {
      const { refundId } = sendRefund.input.parse(data);
      return payment.status === 'confirmed' ? payBack(provider, payment, paymentId, refundId) : undefined;
    }),
  };
}

const paymentOf = sendRefund.input.pick({ paymentId: true });
/** Of the command that brought the token; once that has ended, null is in its place. */
const tokenInput = z.object({ paymentToken: z.string() });

/** A repeat that is older than this may be one that counts as the first: of a dead letter. */
const SURELY_FIRST_MS = 30 * 60_000;

/**
 * What may have been asked before is looked for first: by then the provider may have forgotten the idempotency key. And
 * without the token it cannot be asked again. The first time it is not looked for, since looking is slow at Stripe.
 */
async function authorise(
  provider: PaymentProvider,
  { orderId, amount, tokenCommandId }: RequestedPayment,
  paymentId: string,
  { attempts, submittedAt, now, inputOf }: PerformedCommand,
): Promise<ProviderPayment | typeof TOKEN_GONE> {
  const token = tokenInput.safeParse(await inputOf(tokenCommandId)).data?.paymentToken;
  const isFirst = attempts === 1 && now.getTime() - submittedAt.getTime() < SURELY_FIRST_MS;
  const found = token !== undefined && isFirst ? undefined : await provider.find(paymentId);
  if (found !== undefined) return found;
  return token === undefined ? TOKEN_GONE : provider.authorise({ paymentId, orderId, amount, token });
}
