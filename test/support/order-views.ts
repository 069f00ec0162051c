/** What clients ask of orders, and what they are shown. */

interface Amount {
  readonly amountMinor: number;
  readonly currency: string;
}

export interface Payment {
  readonly id: string;
  readonly status: string;
  readonly amount: Amount;
  readonly refunded: Amount;
  readonly provider: string;
  readonly failureReason: string | null;
  readonly nextAction: { readonly kind: string; readonly url: string | null } | null;
}

export interface Shipment {
  readonly id: string;
  readonly status: string;
  readonly carrier: string | null;
  readonly trackingCode: string | null;
  readonly history: readonly { readonly status: string; readonly note: string | null }[];
}

export interface Customer {
  readonly id: string;
  readonly personalData: string;
  readonly email: string | null;
  readonly name: string | null;
}

export interface Order {
  readonly id: string;
  readonly number: string;
  readonly version: number;
  readonly position: string;
  readonly status: string;
  readonly statusReason: string | null;
  readonly lines: readonly {
    readonly sku: string;
    readonly quantity: number;
    readonly returned: number;
    readonly lineTotal: Amount;
  }[];
  readonly subtotal: Amount;
  readonly discounts: readonly { readonly code: string; readonly amount: Amount }[];
  readonly total: Amount;
  readonly personalData: string;
  readonly email: string | null;
  readonly shippingAddress: Readonly<Record<string, string | null>> | null;
  readonly customer: Customer | null;
  readonly payments: readonly Payment[];
  readonly shipments: readonly Shipment[];
  readonly paymentDeadline: string | null;
  readonly process: {
    readonly id: string;
    readonly process: string;
    readonly status: string;
    readonly steps: readonly { readonly name: string; readonly status: string; readonly detail: string | null }[];
  } | null;
  readonly correlationId: string;
  readonly placedAt: string;
}

export interface Notification {
  readonly id: string;
  readonly channel: string;
  readonly subject: string | null;
  readonly status: string;
  readonly to: string | null;
}

const MONEY = '{ amountMinor currency }';
export const PAYMENT = `id status amount ${MONEY} refunded ${MONEY} provider failureReason nextAction { kind url }`;
export const SHIPMENT = 'id status carrier trackingCode history { status note }';
export const CUSTOMER = 'id personalData email name';
export const NOTIFICATION = 'id channel subject status to';
export const ORDER = `id number version position status statusReason
  lines { sku quantity returned lineTotal ${MONEY} } subtotal ${MONEY} discounts { code amount ${MONEY} } total ${MONEY}
  personalData email shippingAddress { name street city postalCode country } customer { ${CUSTOMER} }
  payments { ${PAYMENT} } shipments { ${SHIPMENT} } paymentDeadline
  process { id process status steps { name status detail } } correlationId placedAt`;
