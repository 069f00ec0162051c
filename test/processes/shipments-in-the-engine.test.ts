import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Carrier, CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import { shippingContext } from '../../src/contexts/shipping/index.ts';
import { createShippingPerformers } from '../../src/contexts/shipping/performers.ts';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { reconcilingShipments } from '../../src/processes/reconciling-shipments.ts';
import { testMasterKey } from '../support/master-key.ts';
import { eventually, letterRows } from '../support/queue.ts';
import { at, request } from '../support/shipments.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const ONE_ATTEMPT = { maxAttempts: 1, firstPauseMs: 1, longestPauseMs: 1 };

/** A carrier that is away at first, and whose calls never come. */
class AbsentCarrier implements Carrier {
  readonly name = 'simulated';
  isAway = true;
  readonly shipments = new Map<string, CarrierShipment>();

  async register({ shipmentId }: { readonly shipmentId: string }): Promise<CarrierShipment> {
    if (this.isAway) throw new Error('The carrier is away.');
    const shipment = at('prepared', { shipmentId });
    this.shipments.set(shipmentId, shipment);
    return shipment;
  }

  async find(shipmentId: string): Promise<CarrierShipment | undefined> {
    return this.shipments.get(shipmentId);
  }

  async cancel({ shipmentId }: { readonly shipmentId: string }): Promise<CarrierShipment | undefined> {
    return this.find(shipmentId);
  }

  readWebhook(): undefined {
    return undefined;
  }
}

describeEachStore('Shipments in the engine', (kind) => {
  let store: TestStore;
  let database: Database;

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  test('arrive, also if the carrier was away when it was told of them, and its calls never come', async () => {
    const clock = new VirtualClock();
    const carrier = new AbsentCarrier();
    const engine = await Engine.start({
      ...{ database, masterKey: testMasterKey, clock, ids: randomIds, logger: createLogger('silent') },
      ...{ aggregates: shippingContext.aggregates, projections: [] },
      processes: [reconcilingShipments({ afterMs: 15_000 })],
      ...{ performers: new Map(Object.entries(createShippingPerformers(carrier))), commandRetries: ONE_ATTEMPT },
    });
    const [shipmentId, commandId] = [randomUUID(), randomUUID()];
    const typesOf = async (stream: string) => (await engine.log.readStreams([stream])).map(({ type }) => type);
    const shipment = () => typesOf(`shipment-${shipmentId}`);
    const reconciling = () => typesOf(`reconciling-shipments-${shipmentId}`);
    try {
      const { type: name, data } = request();
      await engine.executor.execute({
        ...{ commandId, name, data: { ...data, shipmentId }, actor: SYSTEM, correlationId: commandId },
      });
      // The carrier was asked once, in vain.
      await eventually(async () => expect(await letterRows(database)).toHaveLength(1));
      await eventually(async () => expect(await reconciling()).toEqual(['ShipmentReconciliationBegan']));
      carrier.isAway = false;
      clock.advance(15_000);
      await eventually(async () => expect(await shipment()).toEqual(['ShipmentRequested', 'ShipmentPrepared']));
      carrier.shipments.set(shipmentId, at('delivered', { shipmentId }));
      clock.advance(30_000);
      await eventually(async () => expect((await shipment()).at(-1)).toBe('ShipmentDelivered'));
      await eventually(async () => expect((await reconciling()).at(-1)).toBe('ShipmentReconciliationEnded'));
    } finally {
      await engine.stop();
    }
  });
});
