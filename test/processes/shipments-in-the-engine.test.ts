import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Carrier, CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import type { ShipmentCommand } from '../../src/contexts/shipping/commands.ts';
import { shippingContext } from '../../src/contexts/shipping/index.ts';
import { createShippingPerformers } from '../../src/contexts/shipping/performers.ts';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import type { CommandRequest } from '../../src/eventsourcing/commands/command.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { reconcilingShipments } from '../../src/processes/reconciling-shipments.ts';
import { testMasterKey } from '../support/master-key.ts';
import { eventually, letterRows } from '../support/queue.ts';
import { at, cancel, request } from '../support/shipments.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const ONE_ATTEMPT = { maxAttempts: 1, firstPauseMs: 1, longestPauseMs: 1 };

/** A carrier that is away at first, or does as it is told and does not say so, and whose calls never come. */
class AbsentCarrier implements Carrier {
  readonly name = 'simulated';
  isAway = true;
  isMute = false;
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
    if (this.shipments.has(shipmentId)) this.shipments.set(shipmentId, at('cancelled', { shipmentId }));
    if (this.isMute) throw new Error('The carrier said nothing.');
    return this.find(shipmentId);
  }

  readWebhook(): undefined {
    return undefined;
  }
}

describeEachStore('Shipments in the engine', (kind) => {
  let store: TestStore;
  let database: Database;
  /** Of all tests: the store is one, and its time never goes back. */
  const clock = new VirtualClock();

  beforeAll(async () => {
    store = await kind.create();
    database = await openMigrated(store);
  });
  afterAll(async () => {
    await database.close();
    await store.remove();
  });

  async function begin(carrier: Carrier) {
    const engine = await Engine.start({
      ...{ database, masterKey: testMasterKey, clock, ids: randomIds, logger: createLogger('silent') },
      ...{ aggregates: shippingContext.aggregates, projections: [] },
      processes: [reconcilingShipments({ afterMs: 15_000 })],
      ...{ performers: new Map(Object.entries(createShippingPerformers(carrier))), commandRetries: ONE_ATTEMPT },
    });
    const shipmentId = randomUUID();
    const typesOf = async (stream: string) => (await engine.log.readStreams([stream])).map(({ type }) => type);
    const sent = ({ type: name, data }: ShipmentCommand): CommandRequest => {
      const commandId = randomUUID();
      return { commandId, name, data: { ...data, shipmentId }, actor: SYSTEM, correlationId: commandId };
    };
    return {
      ...{ engine, shipmentId, sent },
      shipment: () => typesOf(`shipment-${shipmentId}`),
      reconciling: () => typesOf(`reconciling-shipments-${shipmentId}`),
    };
  }

  test('arrive, also if the carrier was away when it was told of them, and its calls never come', async () => {
    const carrier = new AbsentCarrier();
    const { engine, shipmentId, sent, shipment, reconciling } = await begin(carrier);
    try {
      await engine.executor.execute(sent(request()));
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

  test('that were called off are known to be, also if nobody heard the answer, and that was given up', async () => {
    const carrier = new AbsentCarrier();
    carrier.isAway = false;
    carrier.isMute = true;
    const { engine, sent, shipment, reconciling } = await begin(carrier);
    try {
      await engine.executor.execute(sent(request()));
      await eventually(async () => expect(await shipment()).toEqual(['ShipmentRequested', 'ShipmentPrepared']));
      const letters = (await letterRows(database)).length;
      await engine.executor.enqueue(sent(cancel), {});
      await eventually(async () => expect(await letterRows(database)).toHaveLength(letters + 1));
      await eventually(async () => expect(await reconciling()).toEqual(['ShipmentReconciliationBegan']));
      expect((await shipment()).at(-1)).toBe('ShipmentPrepared');
      clock.advance(15_000);
      await eventually(async () => expect((await shipment()).at(-1)).toBe('ShipmentCancelled'));
      await eventually(async () => expect((await reconciling()).at(-1)).toBe('ShipmentReconciliationEnded'));
    } finally {
      await engine.stop();
    }
  });
});
