import { describe, test } from 'vitest';
import { paymentDeclined } from '../../src/contexts/rejections.ts';
import { illegalState, notFound } from '../../src/eventsourcing/commands/rejection.ts';
import { ORDER } from '../support/carts.ts';
import {
  CANCEL_COMMAND,
  conclude,
  context,
  did,
  hears,
  LATER,
  noPaymentTimer,
  noTimer,
  PAY_COMMAND,
  process,
  SHIPMENT,
  sends,
  states,
  timer,
  WHY,
} from '../support/checkouts.ts';
import { due, givenProcess, refused } from '../support/given-process.ts';
import { PAYMENT } from '../support/orders.ts';

const refundId = `${ORDER}:cancelled`;
const undo = [sends.cancelOrder(WHY), sends.release(WHY)];
const declined = conclude(PAY_COMMAND, paymentDeclined('CANCELLED', ORDER, PAYMENT));
const tooLate = conclude(CANCEL_COMMAND, did.notCancelled.data.rejection);

describe('Cancelling an order', () => {
  test('before anything is paid gives back what is reserved', () =>
    givenProcess(process, states['awaiting payment'])
      .when(hears.cancel, context)
      .thenEvents([did.asked, did.cancelled()])
      .thenEffects([noPaymentTimer, ...undo]));

  test('is answered when the order says that it is cancelled, once', () => {
    givenProcess(process, [...states['awaiting payment'], did.asked, did.cancelled()])
      .when(hears.orderCancelled, context)
      .thenEvents([did.closed])
      .thenEffects([conclude(CANCEL_COMMAND)]);
    givenProcess(process, states.cancelled)
      .when(hears.orderCancelled, context)
      .thenEvents([did.closed])
      .thenEffects([declined, conclude(CANCEL_COMMAND)]);
    givenProcess(process, states.closed).when(hears.orderCancelled, context).thenNothing();
  });

  test.each(['paying', 'needing action'] as const)('while it is %s calls the payment off', (state) =>
    givenProcess(process, states[state])
      .when(hears.cancel, context)
      .thenEvents([did.asked, did.cancelled()])
      .thenEffects([noPaymentTimer, sends.cancelPayment(WHY), ...undo]),
  );

  test('waits while what is paid for is being sold', () => {
    for (const state of [states.selling, states.sold]) {
      givenProcess(process, state).when(hears.cancel, context).thenEvents([did.asked]).thenEffects([]);
    }
    givenProcess(process, [...states.selling, did.asked])
      .when(hears.committed, context)
      .thenEvents([did.sold])
      .thenEffects([sends.paid()]);
  });

  test('then gives the goods and the money back, and nothing is sent off', () =>
    givenProcess(process, [...states.sold, did.asked])
      .when(hears.paid, context)
      .thenEvents([did.paid, did.cancelled()])
      .thenEffects([
        ...[conclude(PAY_COMMAND), noPaymentTimer, sends.cancelPayment(WHY), ...undo, sends.refund(refundId)],
      ]));

  test.each(['shipping', 'prepared'] as const)('is up to the shipment when it is %s', (state) => {
    givenProcess(process, states[state])
      .when(hears.cancel, context)
      .thenEvents([did.asked])
      .thenEffects([sends.cancelShipment]);
    givenProcess(process, [...states[state], did.asked])
      .when(hears.shipmentCancelled, context)
      .thenEvents([did.cancelled()])
      .thenEffects([noPaymentTimer, sends.cancelPayment(WHY), ...undo, sends.refund(refundId)]);
  });

  test('is too late where the goods leave while the carrier is asked, or cannot be', () => {
    givenProcess(process, [...states.prepared, did.asked])
      .when(hears.handedOver, context)
      .thenEvents([did.shipped, did.notCancelled])
      .thenEffects([sends.shipped, sends.notCancelled]);
    givenProcess(process, [...states.prepared, did.asked, did.shipped, did.notCancelled])
      .when(refused('CancelShipment', { rejection: illegalState('IN_TRANSIT', 'It left.') }), context)
      .thenNothing();
  });

  test('is too late where the shipment had left just then', () => {
    const rejection = illegalState('IN_TRANSIT', 'It was handed over to the carrier.');
    for (const state of [states.prepared, states['on the way'], states.delivered]) {
      givenProcess(process, [...state, did.asked])
        .when(refused('CancelShipment', { rejection }), context)
        .thenEvents([did.notCancelled])
        .thenEffects([sends.notCancelled]);
    }
  });

  test.each(['on the way', 'delivered'] as const)('is too late when it is %s', (state) =>
    givenProcess(process, states[state])
      .when(hears.cancel, context)
      .thenEvents([did.asked, did.notCancelled])
      .thenEffects([sends.notCancelled]),
  );

  test('that is too late is answered when the order says that it goes on, once', () => {
    const refusedLate = [...states['on the way'], did.asked, did.notCancelled];
    givenProcess(process, refusedLate)
      .when(hears.notCancelled, context)
      .thenEvents([did.refusalNoted])
      .thenEffects([tooLate]);
    givenProcess(process, [...refusedLate, did.refusalNoted])
      .when(hears.notCancelled, context)
      .thenNothing();
  });

  test.each(['timed out', 'cancelled'] as const)('is done where it is %s already, once the order knows', (state) => {
    const undone = state === 'timed out' ? states[state] : [...states.paying, did.cancelled()];
    givenProcess(process, undone).when(hears.cancel, context).thenEvents([did.asked]).thenEffects([]);
    const reason = state === 'timed out' ? 'TIMED_OUT' : 'CANCELLED';
    givenProcess(process, [...undone, did.asked])
      .when(hears.orderCancelled, context)
      .thenEvents([did.closed])
      .thenEffects([conclude(PAY_COMMAND, paymentDeclined(reason, ORDER, PAYMENT)), conclude(CANCEL_COMMAND)]);
    givenProcess(process, [...undone, did.closed])
      .when(hears.cancel, context)
      .thenEvents([did.asked])
      .thenEffects([conclude(CANCEL_COMMAND)]);
  });

  test('was not needed for a shipment that somebody else stopped', () =>
    givenProcess(process, states.shipping)
      .when(hears.shipmentCancelled, context)
      .thenEvents([did.cancelled('SHIPMENT_CANCELLED')])
      .thenEffects([
        ...[noPaymentTimer, sends.cancelPayment('SHIPMENT_CANCELLED'), sends.cancelOrder('SHIPMENT_CANCELLED')],
        ...[sends.release('SHIPMENT_CANCELLED'), sends.refund(refundId)],
      ]));
});

describe('A shipment that cannot be stopped, for there is none', () => {
  const rejection = notFound('shipment', SHIPMENT);
  const asked = [...states.shipping, did.asked];
  const waiting = [...states.shipping, did.stepFailed('RequestShipment', 'x'), did.asked];

  test('will not be either, where it is only to be asked for again', () => {
    givenProcess(process, waiting)
      .when(refused('CancelShipment', { rejection }), context)
      .thenEvents([did.cancelled()]);
    givenProcess(process, [...waiting, did.cancelled()])
      .when(due('retry RequestShipment', LATER), context)
      .thenEvents([did.stepRetried('RequestShipment')])
      .thenEffects([noTimer('retry RequestShipment')]);
  });

  test('is tried again, where it may be on its way', () =>
    givenProcess(process, asked)
      .when(refused('CancelShipment', { rejection }), context)
      .thenEvents([did.stepFailed('CancelShipment', rejection.message)])
      .thenEffects([timer('retry CancelShipment')]));

  test('is stopped as soon as it is there', () => {
    const sought = [...asked, did.stepFailed('CancelShipment', rejection.message)];
    givenProcess(process, sought)
      .when(hears.prepared, context)
      .thenEvents([did.prepared, did.stepRetried('CancelShipment')])
      .thenEffects([sends.preparation, noTimer('retry CancelShipment'), sends.cancelShipment]);
    givenProcess(process, [...sought, did.prepared, did.stepRetried('CancelShipment')])
      .when(due('retry CancelShipment', LATER), context)
      .thenNothing();
  });

  test('is nothing where all is undone', () =>
    givenProcess(process, [...asked, did.cancelled()])
      .when(refused('CancelShipment', { rejection }), context)
      .thenNothing());

  test('is tried again where that only broke', () => {
    givenProcess(process, asked)
      .when(refused('CancelShipment', { status: 'DROPPED' }), context)
      .thenEvents([did.stepFailed('CancelShipment', 'CancelShipment broke, and was given up.')]);
    givenProcess(process, [...asked, did.stepFailed('CancelShipment', 'x')])
      .when(due('retry CancelShipment', LATER), context)
      .thenEvents([did.stepRetried('CancelShipment')])
      .thenEffects([noTimer('retry CancelShipment'), sends.cancelShipment]);
  });

  test('is not tried again where the goods have left meanwhile', () =>
    givenProcess(process, [...states['on the way'], did.stepFailed('CancelShipment', 'x')])
      .when(due('retry CancelShipment', LATER), context)
      .thenEvents([did.stepRetried('CancelShipment')])
      .thenEffects([noTimer('retry CancelShipment')]));
});
