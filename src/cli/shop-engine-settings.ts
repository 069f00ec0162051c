import type { Settings } from '../config.ts';
import type { ShopEngineSettings } from '../server/shop-engine.ts';

/** What the engine is told of the settings, by every command that starts one. */
export function shopEngineSettings(settings: Settings): ShopEngineSettings {
  return {
    leaseSeconds: settings.LEASE_S,
    cartAbandonedAfterMs: settings.CART_ABANDONED_AFTER_S * 1_000,
    paymentLimitMs: settings.PAYMENT_LIMIT_S * 1_000,
    reconcileAfterMs: settings.PAYMENT_RECONCILE_AFTER_S * 1_000,
  };
}
