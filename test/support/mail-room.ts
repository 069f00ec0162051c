import { randomUUID } from 'node:crypto';
import { graphql } from 'graphql';
import { customersContext } from '../../src/contexts/customers/index.ts';
import { notificationContext } from '../../src/contexts/notification/index.ts';
import { createNotificationPerformers } from '../../src/contexts/notification/performers.ts';
import { type NotificationRow, notificationProjection } from '../../src/contexts/notification/projection.ts';
import { operationsContext } from '../../src/contexts/operations/index.ts';
import { addSharedTypes } from '../../src/contexts/shared-types.ts';
import { type Actor, SYSTEM } from '../../src/eventsourcing/actor.ts';
import type { Aggregate } from '../../src/eventsourcing/commands/aggregate.ts';
import type { CommandOutcome } from '../../src/eventsourcing/commands/command.ts';
import { Engine } from '../../src/eventsourcing/engine.ts';
import type { ProcessManager } from '../../src/eventsourcing/processes/process-manager.ts';
import { createSchemaKit } from '../../src/graphql/schema-kit.ts';
import { systemClock } from '../../src/platform/clock.ts';
import type { Database } from '../../src/platform/database.ts';
import { randomIds } from '../../src/platform/ids.ts';
import { createLogger } from '../../src/platform/logger.ts';
import { createMailer, type Mailer } from '../../src/platform/mail.ts';
import { testMasterKey } from './master-key.ts';
import { notices } from './notices.ts';
import { eventually } from './queue.ts';
import { silentAudit } from './read-audits.ts';
import { embeddedStores, openMigrated, type TestStore } from './stores.ts';

const contexts = [customersContext, notificationContext, operationsContext];

/** What is told, to whom, and what of it failed: without the rest of the shop. */
function createMailSchema() {
  const kit = createSchemaKit(contexts.flatMap((it) => it.aggregates));
  const shared = addSharedTypes(kit);
  for (const context of contexts) context.declareSchema(kit, shared);
  kit.addEventTypes(shared.valueTypes());
  return kit.builder.toSchema();
}

const schema = createMailSchema();

function mailerTo(smtpUrl: string | undefined): Mailer {
  return createMailer({ smtpUrl, from: 'Shop <shop@example.com>', timeoutMs: 10_000, logger: createLogger('silent') });
}

export interface MailRoomOptions {
  readonly aggregates?: readonly Aggregate[];
  readonly processes?: readonly ProcessManager[];
}

/** An engine that knows customers and what they are told, over a store of its own. */
export class MailRoom {
  readonly database: Database;
  readonly #store: TestStore;
  readonly #start: (send: Mailer['send']) => Promise<Engine>;
  #engine: Engine | undefined;
  #mailer = mailerTo(undefined);

  static async open({ aggregates = [], processes = [] }: MailRoomOptions = {}): Promise<MailRoom> {
    const store = await embeddedStores.create();
    const database = await openMigrated(store);
    const start = (send: Mailer['send']) =>
      Engine.start({
        database,
        masterKey: testMasterKey,
        aggregates: [...contexts.flatMap((it) => it.aggregates), ...aggregates],
        projections: contexts.flatMap((it) => it.projections),
        processes,
        performers: new Map(Object.entries(createNotificationPerformers({ send }))),
        clock: systemClock,
        ids: randomIds,
        logger: createLogger('silent'),
        commandRetries: { maxAttempts: 3, firstPauseMs: 1, longestPauseMs: 1 },
      });
    const room = new MailRoom(store, database, start);
    await room.restart();
    return room;
  }

  private constructor(store: TestStore, database: Database, start: (send: Mailer['send']) => Promise<Engine>) {
    this.#store = store;
    this.database = database;
    this.#start = start;
  }

  get engine(): Engine {
    if (this.#engine === undefined) throw new Error('It is not open.');
    return this.#engine;
  }

  /** Another process goes on over the same store. */
  async restart(): Promise<void> {
    await this.#engine?.stop();
    this.#engine = await this.#start((mail) => this.#mailer.send(mail));
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    this.#mailer.close();
    await this.database.close();
    await this.#store.remove();
  }

  /** From now on mails go to this server; to none, if there is none. */
  sendTo(smtpUrl: string | undefined): void {
    this.#mailer.close();
    this.#mailer = mailerTo(smtpUrl);
  }

  run(name: string, data: unknown): Promise<CommandOutcome> {
    const commandId = randomUUID();
    return this.engine.executor.execute({ commandId, name, data, actor: SYSTEM, correlationId: commandId });
  }

  /** Tells a customer that an order was delivered. @returns the id of the notification */
  async tell(customerId: string, orderId: string = randomUUID()): Promise<string> {
    const notificationId = randomUUID();
    const to = `${customerId}@example.com`;
    await this.run('SendNotification', { notificationId, orderId, customerId, to, notice: notices.ORDER_DELIVERED });
    return notificationId;
  }

  /** Has what failed tried again, as an operator would. */
  retry(deadLetterId: string): Promise<CommandOutcome> {
    return this.run('RetryDeadLetter', { deadLetterId });
  }

  /** The row of a notification, once it has come to an end. */
  ended(notificationId: string): Promise<NotificationRow> {
    return eventually(async () => {
      const row = await this.engine.view(notificationProjection).read(notificationId);
      if (row === undefined || row.status === 'QUEUED') throw new Error('It is still to be sent.');
      return row;
    });
  }

  /** @returns data and errors, as JSON would have them */
  async ask(actor: Actor, source: string, variableValues: Record<string, unknown> = {}) {
    const context = {
      actor,
      engine: this.engine,
      ids: randomIds,
      readAudit: silentAudit(this.database),
      readWaitMs: 1_000,
      defaultCurrency: 'GBP',
      correlationId: undefined,
    };
    const answer = await graphql({ schema, source, variableValues, contextValue: context });
    return JSON.parse(JSON.stringify(answer)) as { data?: unknown; errors?: { message: string }[] };
  }
}
