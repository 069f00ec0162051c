import type { EventDefinition } from '../eventsourcing/log/event.ts';
import type { ProcessManager } from '../eventsourcing/processes/process-manager.ts';
import { abandonedCarts } from './abandoned-carts.ts';
import { checkout } from './checkout.ts';
import { mergingCarts } from './merging-carts.ts';
import { reconcilingPayments } from './reconciling-payments.ts';
import { reconcilingShipments } from './reconciling-shipments.ts';
import { tellingCustomers } from './telling-customers.ts';

export interface ProcessSettings {
  /** How long nobody changes a cart before it is abandoned. */
  readonly cartAbandonedAfterMs: number;
  /** Within so long an order has to be paid. */
  readonly paymentLimitMs: number;
  /** How long nothing is heard of a payment before its provider is asked. */
  readonly reconcileAfterMs: number;
  /** Who takes the money. */
  readonly paymentProvider: string;
}

/** Every process that ties contexts together, or a context to the clock. */
export function createProcesses(settings: ProcessSettings): readonly ProcessManager[] {
  const { cartAbandonedAfterMs, paymentLimitMs, paymentProvider: provider, reconcileAfterMs } = settings;
  return [
    abandonedCarts({ afterMs: cartAbandonedAfterMs }),
    mergingCarts,
    checkout({ paymentLimitMs, provider }),
    reconcilingPayments({ afterMs: reconcileAfterMs, paymentLimitMs }),
    reconcilingShipments({ afterMs: reconcileAfterMs }),
    tellingCustomers,
  ];
}

/** What of processes is the same whatever the settings. */
const anyProcesses = createProcesses({
  cartAbandonedAfterMs: 0,
  paymentLimitMs: 0,
  reconcileAfterMs: 0,
  paymentProvider: '',
});

/** What processes remember: the same whatever the settings. */
export const processEvents: readonly EventDefinition[] = anyProcesses.flatMap((process) => process.events);

/** How instances of processes end: the same whatever the settings. */
export const processEndings: readonly Pick<ProcessManager, 'endsWith'>[] = anyProcesses;
