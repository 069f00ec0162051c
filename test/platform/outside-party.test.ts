import { describe, expect, test, vi } from 'vitest';
import { OutsideParty, OutsidePartyRefused } from '../../src/platform/outside-party.ts';
import { eventually } from '../support/simulators.ts';
import { VirtualClock } from '../support/virtual-clock.ts';

/** Work that ends when it is told to. */
function held() {
  let end = () => {};
  const work = new Promise<string>((resolve) => {
    end = () => resolve('done');
  });
  return { end, work };
}

const broken = async (): Promise<never> => {
  throw new Error('of Ada Lovelace, 12 St James Square');
};

describe('An outside party', () => {
  test('gives what it answers, and shows that all is well', async () => {
    const party = new OutsideParty({ name: 'carrier', timeoutMs: 10_000 });
    await expect(party.call('register', async () => 7)).resolves.toBe(7);
    expect(party.state()).toEqual({ name: 'carrier', breaker: 'closed', running: 0, waiting: 0, lastFailure: null });
  });

  test('is given up after its time, and told so', async () => {
    const party = new OutsideParty({ name: 'carrier', timeoutMs: 20, clock: new VirtualClock() });
    let isTold = false;
    const call = party.call(
      'register',
      (signal) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => {
            isTold = true;
            reject(signal.reason);
          });
        }),
    );
    await expect(call).rejects.toMatchObject({
      name: 'OutsidePartyTimedOut',
      message: 'carrier: register took longer than 20 ms',
    });
    expect(isTold).toBe(true);
    expect(party.state().lastFailure).toEqual({
      at: new Date('2030-01-31T12:00:00Z'),
      error: 'OutsidePartyTimedOut',
      message: 'carrier: register took longer than 20 ms',
    });
  });

  test('is asked by so many at a time, and so many wait', async () => {
    const party = new OutsideParty({ name: 'carrier', timeoutMs: 10_000, atOnce: 1, waiting: 1 });
    const [first, second] = [held(), held()];
    const calls = [party.call('find', () => first.work), party.call('find', () => second.work)];
    expect(party.state()).toMatchObject({ running: 1, waiting: 1 });
    await expect(party.call('find', async () => 3)).rejects.toMatchObject({ name: 'OutsidePartyBusy' });
    first.end();
    second.end();
    await expect(Promise.all(calls)).resolves.toEqual(['done', 'done']);
    expect(party.state()).toMatchObject({ breaker: 'closed', running: 0, waiting: 0, lastFailure: null });
  });

  test('that fails again and again is left alone, then tried once', async () => {
    const party = new OutsideParty({ name: 'carrier', timeoutMs: 10_000, failuresToOpen: 2, openForMs: 500 });
    for (const _ of [1, 2]) await expect(party.call('find', broken)).rejects.toThrow('carrier: find failed (Error)');
    const asked = vi.fn(async () => 'here');
    await expect(party.call('find', asked)).rejects.toMatchObject({ name: 'OutsidePartyUnavailable' });
    expect(asked).not.toHaveBeenCalled();
    expect(party.state().breaker).toBe('open');
    const trial = held();
    await eventually(() => {
      void party.call('find', () => trial.work).catch(() => {});
      expect(party.state().breaker).toBe('half-open');
    });
    trial.end();
    await eventually(() => expect(party.state().breaker).toBe('closed'));
    await expect(party.call('find', asked)).resolves.toBe('here');
  });

  test('that says no is well: that does not open the breaker', async () => {
    const party = new OutsideParty({ name: 'carrier', timeoutMs: 10_000, failuresToOpen: 1 });
    const refusal = new OutsidePartyRefused('carrier', 'register', 'invalid_request');
    for (const _ of [1, 2]) {
      await expect(party.call('register', () => Promise.reject(refusal))).rejects.toBe(refusal);
    }
    expect(party.state()).toMatchObject({ breaker: 'closed', lastFailure: null });
  });

  test('is spoken of without a word of what was sent to it', async () => {
    const party = new OutsideParty({ name: 'carrier', timeoutMs: 10_000 });
    const failure = await party.call('register', broken).catch((error: unknown) => error);
    expect(failure).toMatchObject({ name: 'OutsidePartyFailed', message: 'carrier: register failed (Error)' });
    expect(failure).not.toHaveProperty('cause');
    expect(JSON.stringify(party.state())).not.toContain('Ada');
  });
});
