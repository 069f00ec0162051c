import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createLogger } from '../../src/platform/logger.ts';
import { conceal, textsIn, withoutMailAddresses } from '../../src/platform/redaction.ts';

function logged(log: (logger: ReturnType<typeof createLogger>) => void): string {
  const lines: string[] = [];
  log(createLogger('info', { write: (line: string) => lines.push(line) }));
  return lines.join('');
}

describe('The log', () => {
  it('never holds a mail address, wherever it comes from', () => {
    const text = logged((logger) => {
      logger.error({ err: new Error('550 <Ada.Lovelace+shop@mail.example.org>: no such user') }, 'mail was refused');
      logger.warn({ who: { is: 'ada@example.org' } }, 'ada@example.org');
    });
    expect(text).not.toMatch(/ada/i);
    expect(text).toContain('no such user');
  });

  it('never holds what somebody sent, or what is stored of them', () => {
    const text = logged((logger) => {
      logger.error(
        { request: { input: { street: 'Rue Cler' } }, data: 'Rue Cler', payload: { a: 'Rue Cler' } },
        'broke',
      );
    });
    expect(text).not.toContain('Rue Cler');
    expect(text).toContain('[not logged]');
  });
});

describe('A text without mail addresses', () => {
  it('has none, whatever stands around them', () => {
    fc.assert(
      fc.property(
        fc.emailAddress(),
        fc.constantFrom(' ', '<', '"', ':', '(', '\n'),
        fc.string(),
        (mail, before, rest) => {
          fc.pre(/^[\w.+%-]+@/.test(mail));
          expect(withoutMailAddresses(`to${before}${mail} ${rest.replaceAll('@', '')}`)).not.toContain(mail);
        },
      ),
    );
  });

  it('keeps the names of packages', () => {
    const stack = 'at run (/app/node_modules/@prisma/client/runtime.js:1:2) lru-cache@11.2.4';
    expect(withoutMailAddresses(stack)).toBe(stack);
  });

  it('is made in a moment, however long it is', () => {
    const began = performance.now();
    withoutMailAddresses(`${'a'.repeat(200_000)} @ ${'a.'.repeat(100_000)}`);
    withoutMailAddresses(`a@${'a.'.repeat(100_000)}1`);
    expect(performance.now() - began).toBeLessThan(2_000);
  });
});

describe('An error', () => {
  it('stays what it is, without what it must not tell, down to its cause', () => {
    const cause = new RangeError('Rue Cler 12 is too long');
    const error = new TypeError('could not go to Rue Cler 12, Paris', { cause });
    conceal(error, textsIn({ home: { street: 'Rue Cler 12', city: 'Paris', floor: 3 }, more: ['Rue Cler'] }));
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe('could not go to [personal data], [personal data]');
    expect(error.stack).not.toContain('Rue Cler');
    expect(cause.message).toBe('[personal data] is too long');
  });
});
