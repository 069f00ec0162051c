import { randomUUID } from 'node:crypto';
import type { Client } from 'graphql-ws';
import { expect } from 'vitest';
import { type CommandView, type DeadLetterView, eventually, Operator, rawId } from './operator.ts';
import { type PlantedFault, plantFault, skipPauses } from './planted-faults.ts';
import { type LocalServer, startLocalServer } from './servers.ts';
import type { Input } from './shop.ts';
import { socketClient } from './sockets.ts';
import type { StoreKind, TestStore } from './stores.ts';

/** What the database refuses to have anything done with, once it is broken. */
export const BROKEN = 'BROKEN';

/** A server over a store of its own, with a few products, and all that it takes to have something go wrong there. */
export class ServedShop {
  readonly server: LocalServer;
  readonly operator: Operator;
  readonly client: Client;
  readonly #store: TestStore;

  static async open(kind: StoreKind): Promise<ServedShop> {
    const store = await kind.create();
    const shop = new ServedShop(store, await startLocalServer(store));
    for (const sku of ['A', 'B', 'C', BROKEN]) await shop.operator.addProduct(sku);
    return shop;
  }

  private constructor(store: TestStore, server: LocalServer) {
    this.#store = store;
    this.server = server;
    this.operator = new Operator(server.url);
    this.client = socketClient(server.webSocketUrl);
  }

  async close(): Promise<void> {
    await this.client.dispose();
    await this.server.stop();
    await this.#store.remove();
  }

  /** An addition to a cart of its own. */
  async addition(more: Input = {}) {
    const cartId = await this.operator.newCart();
    return { cartId, sku: 'A', quantity: 1, commandId: randomUUID(), ...more };
  }

  breakSku(): Promise<PlantedFault> {
    return plantFault(this.server.database, 'events', `NEW.data->>'sku' = '${BROKEN}'`);
  }

  /** Lets attempts follow one another until a command has a status. */
  hurry(commandId: string, status: string): Promise<CommandView> {
    return eventually(async () => {
      await skipPauses(this.server);
      const command = await this.operator.command(commandId);
      if (command?.status !== status) throw new Error(`The command is ${command?.status}.`);
      return command;
    });
  }

  /**
   * Queues a command for a broken product, and so many others behind it.
   * @returns their ids, once the first has failed for good
   */
  async failing(cartId: string, waiting: number): Promise<readonly string[]> {
    const failed = await this.operator.queue('addItemToCart', { cartId, sku: BROKEN, quantity: 1 });
    const behind: string[] = [];
    for (let quantity = 1; quantity <= waiting; quantity += 1) {
      behind.push(await this.operator.queue('addItemToCart', { cartId, sku: 'A', quantity }));
    }
    await this.hurry(failed, 'FAILED');
    return [failed, ...behind];
  }

  /** The open dead letter of a command. */
  async letterOf(subject: string, source?: string): Promise<DeadLetterView> {
    const letter = (await this.operator.deadLetters(source)).find((it) => it.subject === subject);
    if (letter === undefined) throw new Error(`There is no dead letter of ${subject}.`);
    return letter;
  }

  /** A merge that stays RUNNING as long as the fault is there, since the one cart cannot hand its lines over. */
  async heldMerge(): Promise<{ mergeId: string; from: string; into: string; fault: PlantedFault }> {
    const { operator, server } = this;
    const [from, into] = [await operator.newCart(), await operator.newCart()];
    await operator.addItem(from, 'A', 3);
    const handingOver = `NEW.type = 'CartLinesHandedOver' AND NEW.aggregate_id = '${rawId(from)}'`;
    const fault = await plantFault(server.database, 'events', handingOver);
    const mergeId = await operator.queue('mergeCarts', { fromCartId: from, intoCartId: into });
    await eventually(async () => {
      const { events, status } = (await operator.command(mergeId)) ?? {};
      expect({ status, events }).toMatchObject({ status: 'RUNNING', events: [{ type: 'CartMergeRequested' }] });
    });
    return { mergeId, from, into, fault };
  }

  async correlationOf(commandId: string): Promise<string> {
    const command = await this.operator.command(commandId);
    if (command === null) throw new Error(`There is no command ${commandId}.`);
    return command.correlationId;
  }

  /** The command of this name that a process sent on behalf of another one. */
  sentFor(commandId: string, name: string): Promise<CommandView> {
    return eventually(async () => {
      const correlationId = await this.correlationOf(commandId);
      const [sent] = (await this.operator.commands({ filter: { correlationId, name: [name] } })).nodes;
      if (sent === undefined) throw new Error(`No process has sent ${name} for ${commandId}.`);
      return sent;
    });
  }
}
