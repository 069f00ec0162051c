import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Carrier, CarrierShipment } from '../../src/contexts/shipping/carrier.ts';
import type { ShipmentCommand } from '../../src/contexts/shipping/commands.ts';
import { shipmentDecider } from '../../src/contexts/shipping/decider.ts';
import { shipmentEffectsOf } from '../../src/contexts/shipping/effects.ts';
import type { ShipmentEvent } from '../../src/contexts/shipping/events.ts';
import { createShippingPerformers } from '../../src/contexts/shipping/performers.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import type { Performer } from '../../src/eventsourcing/commands/performer.ts';
import { STAFF } from '../support/given.ts';
import { advance, at, CARRIED, cancel, note, perform, request, requested, SHIPMENT } from '../support/shipments.ts';

/**
 * How a call goes: it is done and answered, broke before anything was done, was done and the answer was lost, or was given
 * up while it was on its way, and is done later. `died`: so did the process that asked, before it stored the answer.
 */
type Fate = 'answered' | 'broken' | 'answer lost' | 'delayed' | 'died';

/**
 * A shipment, and its carrier, which fetches the goods when it likes. Whatever takes time waits for its turn, and the
 * scheduler gives turns in any order: between what a call was asked for, what it did, its answer and what is decided on
 * that, everything else may happen.
 */
class ShipmentWorld implements Carrier {
  readonly name = 'simulated';
  readonly events: ShipmentEvent[] = [];
  readonly problems: string[] = [];
  /** What became of cancelling it. */
  outcome: 'cancelled' | 'too late' | undefined;
  /** As the carrier has it. */
  there: CarrierShipment | undefined;
  #state = shipmentDecider.initialState;
  readonly #scheduler: fc.Scheduler;
  readonly #fates: Fate[];
  readonly #tasks: Promise<void>[] = [];
  readonly #answers = new Map<string, CarrierShipment>();
  readonly #performers: Readonly<Record<string, Performer>> = createShippingPerformers(this);

  constructor(scheduler: fc.Scheduler, fates: readonly Fate[]) {
    this.#scheduler = scheduler;
    this.#fates = [...fates];
  }

  get status() {
    return this.#state.status;
  }

  /** Begins something that happens at any time from now on. */
  begin(work: () => Promise<void> | void): void {
    this.#tasks.push(this.#turn().then(work));
  }

  /** Waits until nothing is under way. */
  async settle(): Promise<void> {
    for (let begun = 0; begun < this.#tasks.length; ) {
      const tasks = this.#tasks.slice(begun);
      begun = this.#tasks.length;
      await this.#scheduler.waitFor(Promise.all(tasks));
    }
  }

  /** Performs a command as often as it takes, each time on the state as it is then, and decides on what came back. */
  async perform(command: ShipmentCommand): Promise<void> {
    for (;;) {
      const { type, data } = command;
      const asked = {
        commandId: 'c',
        data,
        state: this.#state,
        attempts: 1,
        now: new Date(),
        submittedAt: new Date(),
        inputOf: async () => undefined,
      };
      try {
        const performed = await this.#performers[type]?.(asked);
        await this.#turn();
        if (this.#fates.shift() === 'died') continue;
        const rejection = this.run(command, performed);
        if (type === 'CancelShipment') this.outcome = rejection === undefined ? 'cancelled' : 'too late';
        return;
      } catch (error) {
        if (error instanceof Error && error.name === 'CarrierDisagrees') {
          this.problems.push(error.message);
          return;
        }
        await this.#turn();
      }
    }
  }

  /** Decides a command at once. @returns the code of its rejection */
  run(command: ShipmentCommand, performed?: unknown): string | undefined {
    const context = { actor: STAFF, now: new Date(), facts: new Map<string, never>(), performed };
    const decision = shipmentDecider.decide(command, this.#state, context);
    if (isRejection(decision)) return decision.code;
    for (const event of decision) {
      this.events.push(event);
      this.#state = shipmentDecider.evolve(this.#state, event);
      for (const effect of shipmentEffectsOf(event, SHIPMENT)) {
        if (effect.kind === 'send') this.begin(() => this.perform(effect.command as ShipmentCommand));
      }
    }
    return undefined;
  }

  /** The carrier fetches the goods, if it knows of them. */
  fetch(): void {
    if (this.there?.status === 'prepared') this.#become('in_transit');
  }

  async register(): Promise<CarrierShipment> {
    return this.#call('register', () => this.there ?? this.#become('prepared'));
  }

  async cancel(): Promise<CarrierShipment | undefined> {
    if ((await this.find()) === undefined) return undefined;
    return this.#call('cancel', () => (this.there?.status === 'prepared' ? this.#become('cancelled') : this.there));
  }

  async find(): Promise<CarrierShipment | undefined> {
    return this.#call(undefined, () => this.there);
  }

  readWebhook(): undefined {
    return undefined;
  }

  #turn(): Promise<void> {
    return this.#scheduler.schedule(Promise.resolve());
  }

  /** @param key the same again is answered as it was the first time; a "no" is not kept */
  async #call<Answer extends CarrierShipment | undefined>(
    key: string | undefined,
    does: () => Answer,
  ): Promise<Answer> {
    const fate = this.#fates.shift() ?? 'answered';
    const answered = (): Answer => {
      const before = key === undefined ? undefined : this.#answers.get(key);
      if (before !== undefined) return before as Answer;
      const answer = does();
      const isNo = key === 'cancel' && answer?.status !== 'cancelled';
      if (key !== undefined && answer !== undefined && !isNo) this.#answers.set(key, answer);
      return answer;
    };
    await this.#turn();
    if (fate === 'delayed') this.begin(() => void answered());
    if (fate === 'delayed' || fate === 'broken') throw new Error('It broke.');
    const answer = answered();
    await this.#turn();
    if (fate === 'answer lost') throw new Error('Nobody heard the answer.');
    return answer;
  }

  /** It is told of, twice, at some time. */
  #become(status: CarrierShipment['status']): CarrierShipment {
    const shipment = at(status);
    this.there = shipment;
    for (const _ of [1, 2]) {
      this.begin(() => {
        const code = this.run(note(shipment));
        if (code !== undefined) this.problems.push(code);
      });
    }
    return shipment;
  }
}

const fate = fc.constantFrom<Fate>('answered', 'answered', 'answered', 'broken', 'answer lost', 'delayed', 'died');

test('Whatever comes in between, nobody has the goods whose order was cancelled, and who was told so has them not', async () => {
  const seen = new Set<string>();
  await fc.assert(
    fc.asyncProperty(
      fc.scheduler(),
      fc.array(fate, { maxLength: 20 }),
      fc.record({ isByHand: fc.boolean(), isReconciled: fc.boolean(), isFetched: fc.boolean(), isEarly: fc.boolean() }),
      async (scheduler, fates, { isByHand, isReconciled, isFetched, isEarly }) => {
        const world = new ShipmentWorld(scheduler, fates);
        world.run(request());
        expect(world.events).toEqual([requested]);
        if (!isEarly) await world.settle();
        world.begin(() => world.perform(cancel));
        if (isReconciled) world.begin(() => world.perform(perform('ReconcileShipment')));
        if (isByHand) world.begin(() => void world.run(advance('PREPARED', CARRIED)));
        for (let time = 0; isFetched && time < 4; time += 1) world.begin(() => world.fetch());
        await world.settle();
        expect(world.problems).toEqual([]);
        const isCancelled = world.outcome === 'cancelled';
        expect(world.there?.status).toBe(isCancelled ? 'cancelled' : 'in_transit');
        expect(world.status).toBe(isCancelled ? 'cancelled' : 'in transit');
        for (const { type } of world.events) seen.add(type);
        seen.add(`${world.outcome}`);
      },
    ),
    { numRuns: 1_500, seed: 4 },
  );
  // Otherwise it was not shown for them. Nothing is registered late: the carrier knew of it before it was cancelled.
  expect([...seen].sort()).toEqual([
    ...['ShipmentCancelled', 'ShipmentHandedOver', 'ShipmentPrepared', 'ShipmentRequested', 'cancelled', 'too late'],
  ]);
});
