import { type PaymentCommand, paymentCommands } from '../../src/contexts/payment/commands.ts';
import { paymentDecider } from '../../src/contexts/payment/decider.ts';
import { paymentEffectsOf } from '../../src/contexts/payment/effects.ts';
import type { PaymentEvent } from '../../src/contexts/payment/events.ts';
import { createPaymentPerformers } from '../../src/contexts/payment/performers.ts';
import { isRejection } from '../../src/eventsourcing/commands/decider.ts';
import type { Performer } from '../../src/eventsourcing/commands/performer.ts';
import type { ProcessEffect, ProcessInput } from '../../src/eventsourcing/processes/process-manager.ts';
import { reconcilingPayments } from '../../src/processes/reconciling-payments.ts';
import { STAFF } from './given.ts';
import { handle } from './given-process.ts';
import type { ModelProvider } from './model-provider.ts';
import { PAYMENT } from './payments.ts';
import { recorded } from './recorded.ts';

/** A command on its way: asked of the provider, or not yet. */
interface Underway {
  readonly command: PaymentCommand;
  readonly submittedAt: Date;
  answer: { readonly performed: unknown } | undefined;
  attempts: number;
}

/**
 * One payment, its provider, the process that reconciles them, and what is under way between them, in memory. A call to
 * the provider and the decision on its answer are two steps: anything may come in between.
 */
export class PaymentWorld {
  readonly events: PaymentEvent[] = [];
  readonly rejections: string[] = [];
  now = new Date('2030-01-31T12:00:00Z');
  #hasToken = true;
  readonly #provider: ModelProvider;
  readonly #performers: Readonly<Record<string, Performer>>;
  readonly #process = reconcilingPayments({ afterMs: 15_000, paymentLimitMs: 900_000 });
  readonly #underway: Underway[] = [];
  readonly #inputs: ProcessInput<unknown>[] = [];
  #state = paymentDecider.initialState;
  #reconciling = this.#process.initialState;
  #timer: Date | undefined;

  constructor(provider: ModelProvider) {
    this.#provider = provider;
    this.#performers = createPaymentPerformers(provider);
  }

  get status() {
    return this.#state.status;
  }

  /** Whether the process waits for nothing, and nothing is under way. */
  get isQuiet(): boolean {
    return this.#underway.length === 0 && this.#inputs.length === 0 && this.#timer === undefined;
  }

  /** Decides a command at once. */
  run(command: PaymentCommand, performed?: unknown): void {
    const context = { actor: STAFF, now: this.now, facts: new Map<string, never>(), performed };
    const decision = paymentDecider.decide(command, this.#state, context);
    if (isRejection(decision)) {
      this.rejections.push(decision.code);
      return;
    }
    for (const event of decision) this.#append(event);
  }

  /** Takes a command one step on: it is performed, or then decided. A fault leaves it to be tried again. */
  async work(at: number): Promise<void> {
    const underway = this.#underway[at % Math.max(1, this.#underway.length)];
    if (underway === undefined) return;
    const { command, answer } = underway;
    if (answer === undefined) {
      const performer = this.#performers[command.type];
      const inputOf = async () => ({ paymentToken: this.#hasToken ? 'tok_ok' : null });
      underway.attempts += 1;
      const { attempts, submittedAt } = underway;
      const asked = { commandId: 'c', data: command.data, attempts, submittedAt, now: this.now, inputOf };
      underway.answer = await performer?.({ ...asked, state: this.#state }).then(
        (performed) => ({ performed }),
        () => undefined,
      );
      return;
    }
    this.#underway.splice(this.#underway.indexOf(underway), 1);
    this.run(command, answer.performed);
  }

  /** A command under way is forgotten for good: it became a dead letter that nobody retries. */
  drop(at: number): PaymentCommand['type'] | undefined {
    const [dropped] = this.#underway.splice(at % Math.max(1, this.#underway.length), 1);
    return dropped?.command.type;
  }

  /** The command that brought the token has ended. */
  wipeToken(): void {
    this.#hasToken = false;
  }

  /** A process that died between asking and deciding begins again with asking. */
  crash(): void {
    for (const underway of this.#underway) underway.answer = undefined;
  }

  /** The process takes what waits for it. */
  reconcile(): void {
    for (const input of this.#inputs.splice(0)) {
      const context = { instanceId: PAYMENT, now: this.now };
      const { effects, state } = handle(this.#process, this.#reconciling, input, context);
      this.#reconciling = state;
      for (const effect of effects) this.#bring(effect);
    }
  }

  pass(ms: number): void {
    this.now = new Date(this.now.getTime() + ms);
    if (this.#timer === undefined || this.#timer > this.now) return;
    this.#inputs.push({ kind: 'timer', timer: 'ask', dueAt: this.#timer });
    this.#timer = undefined;
  }

  /** Goes on, with a provider that answers, until nothing is waited for. @throws where that does not come */
  async settle(): Promise<void> {
    this.#provider.fate = 'answered';
    for (let steps = 0; steps < 1000; steps += 1) {
      if (this.isQuiet) return;
      this.reconcile();
      if (this.#underway.length > 0) await this.work(steps);
      else if (this.#timer !== undefined) this.pass(Math.max(0, this.#timer.getTime() - this.now.getTime()));
    }
    throw new Error('It does not come to an end.');
  }

  #append(event: PaymentEvent): void {
    this.events.push(event);
    this.#state = paymentDecider.evolve(this.#state, event);
    for (const effect of paymentEffectsOf(event, PAYMENT)) if (effect.kind === 'send') this.#bring(effect);
    const [stored] = recorded('payment', PAYMENT, [event]);
    if (stored === undefined || this.#process.instanceOf(stored) === undefined) return;
    this.#inputs.push({ kind: 'message', message: this.#process.messageOf(stored), at: this.now });
  }

  #bring(effect: ProcessEffect): void {
    if (effect.kind === 'setTimer') this.#timer = effect.dueAt;
    if (effect.kind === 'cancelTimer') this.#timer = undefined;
    if (effect.kind !== 'send') return;
    const definition = paymentCommands.find(({ name }) => name === effect.command.type);
    if (definition?.performed !== true) throw new Error(`${effect.command.type} is not performed.`);
    const command = effect.command as PaymentCommand;
    this.#underway.push({ command, submittedAt: this.now, attempts: 0, answer: undefined });
  }
}
