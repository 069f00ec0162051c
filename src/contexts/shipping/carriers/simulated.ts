import { z } from 'zod';
import { type Clock, systemClock } from '../../../platform/clock.ts';
import { type ApiRequest, JsonApi } from '../../../platform/json-api.ts';
import type { OutsideParty } from '../../../platform/outside-party.ts';
import { checkWebhookSignature, SignatureRefused } from '../../../platform/webhook-signature.ts';
import { type Carrier, type CarrierShipment, WebhookRefused } from '../carrier.ts';

export interface SimulatedCarrierSettings {
  /** Of the simulator: `http://127.0.0.1:4011`. */
  readonly url: string;
  readonly apiKey: string;
  readonly webhookSecret: string;
  /** Every call goes through it. */
  readonly party: OutsideParty;
  readonly clock?: Clock;
}

const SIGNATURE_HEADER = 'simulator-signature';

const toldShipment = z.object({
  id: z.string(),
  reference: z.string(),
  carrier: z.string(),
  trackingCode: z.string(),
  status: z.enum(['prepared', 'in_transit', 'delivered', 'cancelled']),
});
type ToldShipment = z.output<typeof toldShipment>;
const toldShipments = z.object({ shipments: z.array(toldShipment) });
const noWithShipment = z.object({ shipment: toldShipment });
const webhook = z.object({ id: z.string().min(1), shipment: toldShipment });

/** Ships with the simulated carrier (`src/simulators/carrier`). */
export function createSimulatedCarrier(settings: SimulatedCarrierSettings): Carrier {
  const { url, apiKey, webhookSecret, party, clock = systemClock } = settings;
  const api = new JsonApi(party, url, apiKey);

  const change = (operation: string, path: string, idempotencyKey: string, body: unknown) => {
    const request: ApiRequest = { operation, method: 'POST', path, idempotencyKey, body };
    return api.ask(request, (answer) => {
      if (answer.status < 300) return translated(toldShipment.parse(answer.body));
      const shown = noWithShipment.safeParse(answer.body);
      if (!shown.success) throw api.refusal(request, answer);
      return translated(shown.data.shipment);
    });
  };

  function look(shipmentId: string): Promise<ToldShipment | undefined> {
    const path = `/v1/shipments?reference=${encodeURIComponent(shipmentId)}`;
    const request: ApiRequest = { operation: 'find', method: 'GET', path };
    return api.ask(request, (answer) => {
      if (answer.status !== 200) throw api.refusal(request, answer);
      return toldShipments.parse(answer.body).shipments[0];
    });
  }

  return {
    name: 'simulated',
    register: ({ shipmentId, orderId, address }) =>
      change('register', '/v1/shipments', `${shipmentId}:register`, { reference: shipmentId, orderId, address }),
    async cancel({ shipmentId }) {
      const found = await look(shipmentId);
      return found && change('cancel', `/v1/shipments/${found.id}/cancel`, `${shipmentId}:cancel`, {});
    },
    async find(shipmentId) {
      const found = await look(shipmentId);
      return found && translated(found);
    },
    readWebhook(headers, body) {
      try {
        checkWebhookSignature(webhookSecret, headers[SIGNATURE_HEADER], body, clock.now());
        const { id: eventId, shipment } = webhook.parse(JSON.parse(body.toString('utf8')));
        return { eventId, shipment: translated(shipment) };
      } catch (error) {
        throw new WebhookRefused(error instanceof SignatureRefused ? error.message : 'The webhook cannot be read.');
      }
    },
  };
}

function translated({ reference, carrier, trackingCode, status }: ToldShipment): CarrierShipment {
  return { shipmentId: reference, carrier, trackingCode, status };
}
