import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { keyNameOf, seal, subjectOf, unseal } from '../../../src/eventsourcing/keys/sealing.ts';

const key = createSecretKey(randomBytes(32));
const first = { key, version: 1 };
const identity = ['event', 'GuestCame', 'a', 'email'];
const json = fc.jsonValue().map((value) => JSON.parse(JSON.stringify(value)));

describe('A sealed value', () => {
  it('can be opened where it was sealed, and tells whose it is', () => {
    fc.assert(
      fc.property(json, fc.string({ unit: 'grapheme' }), fc.array(fc.string()), (value, subject, place) => {
        const sealed = seal(value, subject, first, place);
        expect(subjectOf(sealed)).toBe(subject);
        expect(unseal(sealed, key, place)).toEqual({ value });
      }),
    );
  });

  it('names the version of its key, which cannot be changed either', () => {
    const versions = fc.integer({ min: 1, max: 999_999_999 });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), versions, versions, (subject, version, other) => {
        const sealed = seal('a', subject, { key, version }, identity);
        expect(keyNameOf(sealed)).toEqual({ subject, version });
        expect(unseal(sealed, key, identity)).toEqual({ value: 'a' });
        fc.pre(version !== other);
        const [, , body = ''] = sealed.split(/^(.*\.)/);
        const [head = ''] = seal('a', subject, { key, version: other }, identity).split(/[^.]*$/);
        expect(unseal(head + body, key, identity)).toBeUndefined();
      }),
    );
  });

  it('cannot be opened once any character of it is another', () => {
    const other = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.= é');
    fc.assert(
      fc.property(fc.string(), fc.string(), fc.nat(), other, (value, subject, place, character) => {
        const sealed = seal(value, subject, first, identity);
        const at = place % sealed.length;
        fc.pre(sealed[at] !== character);
        expect(unseal(sealed.slice(0, at) + character + sealed.slice(at + 1), key, identity)).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  });

  it('cannot be opened once it was cut or made longer', () => {
    fc.assert(
      fc.property(fc.string(), fc.nat(), fc.string({ minLength: 1 }), (value, place, more) => {
        const sealed = seal(value, 'a', first, identity);
        expect(unseal(sealed.slice(0, place % sealed.length), key, identity)).toBeUndefined();
        expect(unseal(sealed + more, key, identity)).toBeUndefined();
      }),
    );
  });

  it('cannot be opened in any other place, or with any other key', () => {
    const place = fc.array(fc.string(), { maxLength: 4 });
    fc.assert(
      fc.property(json, place, place, (value, here, there) => {
        fc.pre(JSON.stringify(here) !== JSON.stringify(there));
        expect(unseal(seal(value, 'a', first, here), key, there)).toBeUndefined();
        expect(unseal(seal(value, 'a', first, here), createSecretKey(randomBytes(32)), here)).toBeUndefined();
      }),
    );
  });

  it('never looks the same twice', () => {
    expect(seal('a', 'b', first, identity)).not.toBe(seal('a', 'b', first, identity));
  });

  it('is told from whatever was never sealed', () => {
    for (const value of [null, 1, 'a@example.org', 'sealed1', 'sealed1.', { sealed1: 1 }]) {
      expect(subjectOf(value)).toBeUndefined();
    }
  });
});
