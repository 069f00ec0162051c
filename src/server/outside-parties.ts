import { createNotificationPerformers } from '../contexts/notification/performers.ts';
import { createPaymentPerformers } from '../contexts/payment/performers.ts';
import type { PaymentProvider } from '../contexts/payment/provider.ts';
import { createSimulatedProvider } from '../contexts/payment/providers/simulated.ts';
import { createStripeProvider } from '../contexts/payment/providers/stripe.ts';
import type { Carrier } from '../contexts/shipping/carrier.ts';
import { createSimulatedCarrier } from '../contexts/shipping/carriers/simulated.ts';
import { createShippingPerformers } from '../contexts/shipping/performers.ts';
import type { Performer } from '../eventsourcing/commands/performer.ts';
import type { Clock } from '../platform/clock.ts';
import type { Logger } from '../platform/logger.ts';
import { createMailer, type Mailer } from '../platform/mail.ts';
import { OutsideParty } from '../platform/outside-party.ts';

/** Where a simulator is, and what the shop and it have in common. */
export interface SimulatorAccess {
  readonly url: string;
  readonly apiKey: string;
  readonly webhookSecret: string;
}

export interface StripeAccess {
  readonly secretKey: string;
  readonly webhookSecret: string;
  readonly apiUrl?: string;
  readonly returnUrl?: string;
}

export interface OutsideSettings {
  readonly payment: ({ readonly kind: 'simulated' } & SimulatorAccess) | ({ readonly kind: 'stripe' } & StripeAccess);
  readonly carrier: SimulatorAccess;
  /** Without one, mails are kept. */
  readonly smtpUrl: string | undefined;
  readonly mailFrom: string;
  /** How long a call may take. */
  readonly timeoutMs: number;
  /** How long whoever failed too often is left alone. */
  readonly openForMs?: number;
}

/** Everybody whom the shop deals with outside, each behind an anti-corruption layer of its own. */
export interface OutsideParties {
  readonly payments: PaymentProvider;
  readonly carrier: Carrier;
  readonly mailer: Mailer;
  /** The ways to them, with how they stand. */
  readonly parties: readonly OutsideParty[];
  close(): void;
}

export function createOutsideParties(settings: OutsideSettings, clock: Clock, logger: Logger): OutsideParties {
  const { payment, carrier, smtpUrl, mailFrom, timeoutMs, openForMs } = settings;
  const paymentParty = new OutsideParty({ name: 'payment provider', timeoutMs, openForMs, clock });
  const carrierParty = new OutsideParty({ name: 'carrier', timeoutMs, openForMs, clock });
  const mailer = createMailer({ smtpUrl, from: mailFrom, timeoutMs, openForMs, logger });
  return {
    payments:
      payment.kind === 'stripe'
        ? createStripeProvider({ ...payment, party: paymentParty, clock })
        : createSimulatedProvider({ ...payment, party: paymentParty, clock }),
    carrier: createSimulatedCarrier({ ...carrier, party: carrierParty, clock }),
    mailer,
    parties: [paymentParty, carrierParty, ...(mailer.party === undefined ? [] : [mailer.party])],
    close: () => mailer.close(),
  };
}

/** Who does the work of every `performed` command. */
export function performersWith({ payments, carrier, mailer }: OutsideParties): ReadonlyMap<string, Performer> {
  return new Map(
    Object.entries({
      ...createPaymentPerformers(payments),
      ...createShippingPerformers(carrier),
      ...createNotificationPerformers(mailer),
    }),
  );
}
