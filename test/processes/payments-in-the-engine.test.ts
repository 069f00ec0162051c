import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PaymentCommand } from '../../src/contexts/payment/commands.ts';
import { paymentContext } from '../../src/contexts/payment/index.ts';
import { createPaymentPerformers } from '../../src/contexts/payment/performers.ts';
import { SYSTEM } from '../../src/eventsourcing/actor.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import type { ProcessManager } from '../../src/eventsourcing/processes/process-manager.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { reconcilingPayments } from '../../src/processes/reconciling-payments.ts';
import { testMasterKey } from '../support/master-key.ts';
import { ModelProvider } from '../support/model-provider.ts';
import { AMOUNT, at, ORDER, request } from '../support/payments.ts';
import { eventually, letterRows, untilNothingRuns } from '../support/queue.ts';
import { describeEachStore, openMigrated, type TestStore } from '../support/stores.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

const ONE_ATTEMPT = { maxAttempts: 1, firstPauseMs: 1, longestPauseMs: 1 };

/** A provider whose captures are done, and their answers lost. */
class DeafProvider extends ModelProvider {
  override async capture(it: Parameters<ModelProvider['capture']>[0]) {
    this.fate = 'answer lost';
    return super.capture(it).finally(() => {
      this.fate = 'answered';
    });
  }
}

describeEachStore('Payments in the engine', (kind) => {
  const clock = new VirtualClock();
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

  async function withEngine(provider: ModelProvider, work: (engine: Engine) => Promise<void>): Promise<void> {
    const process: ProcessManager = reconcilingPayments({ afterMs: 15_000, paymentLimitMs: 900_000 });
    const engine = await Engine.start({
      ...{ database, masterKey: testMasterKey, clock, ids: randomIds, logger: createLogger('silent') },
      ...{ aggregates: paymentContext.aggregates, projections: [], processes: [process] },
      ...{ performers: new Map(Object.entries(createPaymentPerformers(provider))), commandRetries: ONE_ATTEMPT },
    });
    await work(engine).finally(() => engine.stop());
  }

  async function run(engine: Engine, { type: name, data }: PaymentCommand): Promise<void> {
    const commandId = randomUUID();
    const outcome = await engine.executor.execute({ commandId, name, data, actor: SYSTEM, correlationId: commandId });
    expect(outcome.outcome).toBe('succeeded');
  }

  const typesOf = async (engine: Engine, stream: string) =>
    (await engine.log.readStreams([stream])).map(({ type }) => type);

  describe('go the whole way by themselves', () => {
    // The command that brought the token is no command of this store: so the provider is asked what it knows.
    test('to where the provider lets them', () =>
      withEngine(new ModelProvider(), async (engine) => {
        const paymentId = randomUUID();
        await run(engine, request({ paymentId }));
        await eventually(async () =>
          expect(await typesOf(engine, `payment-${paymentId}`)).toEqual(['PaymentRequested', 'PaymentFailed']),
        );
        await untilNothingRuns(database);
      }));

    test('past a call of the provider that makes no sense, which is kept for a person to look at', () => {
      const provider = Object.assign(new ModelProvider(), { begins: 'processing' });
      return withEngine(provider, async (engine) => {
        const paymentId = randomUUID();
        await provider.authorise({ paymentId, orderId: ORDER, amount: AMOUNT, token: 'tok_ok' });
        await run(engine, request({ paymentId }));
        const ids = [randomUUID(), randomUUID()];
        const told = at('captured', { paymentId, amount: { amountMinor: 1, currency: 'GBP' } });
        for (const [index, { name, data }] of [
          { name: 'NoteProviderPayment', data: { paymentId, payment: told } },
          { name: 'TimeOutPayment', data: { paymentId } },
        ].entries()) {
          const commandId = ids[index] ?? '';
          await engine.executor.enqueue({ commandId, name, data, actor: SYSTEM, correlationId: commandId }, {});
        }
        await eventually(async () =>
          expect((await typesOf(engine, `payment-${paymentId}`)).slice(0, 2)).toEqual([
            ...['PaymentRequested', 'PaymentTimedOut'],
          ]),
        );
        const records = await engine.commandRecords.find(ids);
        expect(ids.map((id) => records.get(id))).toMatchObject([
          { status: 'REJECTED', rejection: { code: 'PROVIDER_DISAGREES' } },
          { status: 'SUCCEEDED' },
        ]);
        await untilNothingRuns(database);
      });
    });

    test('also if nobody hears that the money was taken', () => {
      const provider = new DeafProvider();
      return withEngine(provider, async (engine) => {
        const paymentId = randomUUID();
        const it = request({ paymentId });
        if (it.type !== 'RequestPayment') throw new Error('It is another command.');
        await provider.authorise({ ...it.data, token: 'tok_ok' });
        await run(engine, it);
        // The answer was lost, and the only attempt with it.
        await eventually(async () => expect(await letterRows(database)).toHaveLength(1));
        expect(provider.payments.get(paymentId)?.status).toBe('captured');
        expect(await typesOf(engine, `payment-${paymentId}`)).toEqual(['PaymentRequested', 'PaymentAuthorised']);
        await eventually(async () =>
          expect(await typesOf(engine, `reconciling-payments-${paymentId}`)).toEqual(['PaymentReconciliationBegan']),
        );
        clock.advance(15_000);
        await eventually(async () =>
          expect((await typesOf(engine, `reconciling-payments-${paymentId}`)).at(-1)).toBe(
            'PaymentReconciliationEnded',
          ),
        );
        expect((await typesOf(engine, `payment-${paymentId}`)).at(-1)).toBe('PaymentConfirmed');
      });
    });
  });
});
