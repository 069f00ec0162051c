import type { IncomingHttpHeaders, ServerResponse } from 'node:http';
import { WebhookRefused } from '../contexts/webhook.ts';
import { Contended, OutcomeUnknown, Overloaded } from '../eventsourcing/commands/command.ts';
import type { Engine } from '../eventsourcing/engine.ts';
import { streamIdOf } from '../eventsourcing/log/stream-id.ts';
import { idCausedBy } from '../eventsourcing/processes/effect-work.ts';
import type { Logger } from '../platform/logger.ts';
import { sendError, sendJson } from './http-body.ts';
import type { OutsideParties } from './outside-parties.ts';

/** Where outside parties call. */
export const WEBHOOK_PATHS = { payment: '/webhooks/payment', carrier: '/webhooks/carrier' } as const;

export function isWebhookPath(path: string | undefined): path is (typeof WEBHOOK_PATHS)[keyof typeof WEBHOOK_PATHS] {
  return Object.values(WEBHOOK_PATHS).some((it) => it === path);
}

interface WebhookParts {
  readonly engine: Engine;
  readonly outside: OutsideParties;
  readonly logger: Logger;
}

/** What a call tells, as the command that takes note of it. */
interface Note {
  readonly from: string;
  readonly eventId: string;
  readonly streamId: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
}

/**
 * Takes a call of an outside party. It is answered with 200 once what it tells is stored, so whatever happens before, the
 * party calls again; a repeat is recognised by its id.
 */
export async function takeWebhook(
  path: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
  response: ServerResponse,
  parts: WebhookParts,
): Promise<void> {
  const { engine, logger } = parts;
  try {
    const note = noteOf(path, headers, body, parts.outside);
    const first = note === undefined ? undefined : (await engine.log.readStreams([note.streamId], 0, 1))[0];
    if (note === undefined || first === undefined) {
      logger.info({ path }, 'an outside party told of what is not known here');
      return sendJson(response, 200, { received: true, known: false });
    }
    const { from, eventId, name, data } = note;
    // Queued, so that what contradicts what is known here is kept, as a command that was rejected, for a person to look at.
    const request = {
      commandId: idCausedBy('webhook', from, eventId),
      name,
      data,
      actor: { kind: 'SERVICE', id: from },
      correlationId: first.correlationId,
      // They tell of what they were once asked for.
      causationId: first.eventId,
    } as const;
    const outcome = await engine.executor.enqueue(request, {});
    if (outcome.outcome === 'rejected') {
      logger.warn({ path, code: outcome.rejection.code }, 'what an outside party told was refused');
    }
    sendJson(response, 200, { received: true, known: true });
  } catch (error) {
    if (error instanceof WebhookRefused) return sendError(response, 400, 'WEBHOOK_REFUSED', error.message);
    if ([OutcomeUnknown, Overloaded, Contended].some((it) => error instanceof it)) {
      return sendError(response, 503, 'UNAVAILABLE', 'It could not be stored just now: call again.');
    }
    throw error;
  }
}

function noteOf(
  path: string,
  headers: IncomingHttpHeaders,
  body: Buffer,
  { payments, carrier }: OutsideParties,
): Note | undefined {
  if (path === WEBHOOK_PATHS.payment) {
    const told = payments.readWebhook(headers, body);
    if (told === undefined) return undefined;
    const { eventId, payment } = told;
    const { paymentId } = payment;
    const about = { streamId: streamIdOf('payment', paymentId), eventId, from: payments.name };
    return { ...about, name: 'NoteProviderPayment', data: { paymentId, payment } };
  }
  const told = carrier.readWebhook(headers, body);
  if (told === undefined) return undefined;
  const { eventId, shipment } = told;
  const { shipmentId } = shipment;
  const about = { streamId: streamIdOf('shipment', shipmentId), eventId, from: carrier.name };
  return { ...about, name: 'NoteCarrierShipment', data: { shipmentId, shipment } };
}
