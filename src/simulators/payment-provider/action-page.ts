import { z } from 'zod';
import { parsed, type Route } from '../http.ts';
import { formOf } from './form-body.ts';
import type { PaymentLedger } from './ledger.ts';
import { acted, type SimulatedPayment } from './payment.ts';

const PATH = /^\/actions\/([^/]+)$/;
const decided = z.object({ decision: z.enum(['complete', 'decline']) });
const HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
};

/** What a bank shows to whoever pays with `tok_action`: a page with two buttons. */
export function actionPage(ledger: PaymentLedger): Route[] {
  return [
    {
      method: 'GET',
      pattern: PATH,
      run: (_, id) => ({ status: 200, body: pageOf(ledger.payment(id)), headers: HEADERS }),
    },
    {
      method: 'POST',
      pattern: PATH,
      run(call, id) {
        const { decision } = parsed(decided, formOf(call));
        const payment = ledger.payment(id);
        // Pressed twice: it stays as it was decided first.
        if (payment.status === 'requires_action') ledger.record(ledger.entriesOf(acted(payment, decision)));
        return { status: 200, body: pageOf(ledger.payment(id)), headers: HEADERS };
      },
    },
  ];
}

function pageOf({ status, amountMinor, currency }: SimulatedPayment): string {
  const isOpen = status === 'requires_action';
  const ways = isOpen
    ? `<form method="post"><button name="decision" value="complete">Yes, it is me</button>
<button name="decision" value="decline">No, decline</button></form>`
    : `<p>The payment is ${status}.</p>`;
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Your bank</title>
<style>body{font:1rem/1.5 system-ui;max-width:30rem;margin:4rem auto;padding:0 1rem}button{font:inherit;padding:.5rem 1rem}</style>
</head><body><h1>Is this you?</h1>
<p>A payment of ${amountMinor} ${currency}, in the smallest unit. No money is moved: this is a simulator.</p>
${ways}</body></html>
`;
}
