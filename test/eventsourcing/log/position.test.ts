import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Positions, PositionUnknown } from '../../../src/eventsourcing/log/position.ts';

const positions = new Positions('0199c0ffee00');
const number = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });

describe('Positions', () => {
  it('come back as they were', () => {
    fc.assert(
      fc.property(number, (position) => {
        expect(positions.decode(positions.encode(position), Number.MAX_SAFE_INTEGER)).toBe(position);
      }),
    );
  });

  it('sort as texts as they do as numbers, also across epochs', () => {
    const later = new Positions('0199c0ffee01');
    fc.assert(
      fc.property(number, number, (a, b) => {
        expect(positions.encode(a) < positions.encode(b)).toBe(a < b);
        expect(positions.encode(a) < later.encode(b)).toBe(true);
      }),
    );
  });

  it('of the future are unknown', () => {
    expect(positions.decode(positions.encode(7), 7)).toBe(7);
    expect(() => positions.decode(positions.encode(8), 7)).toThrow(PositionUnknown);
  });

  it('of another store are unknown', () => {
    expect(() => positions.decode(new Positions('0199c0ffee01').encode(1), 7)).toThrow(PositionUnknown);
  });

  it.each([
    '',
    '7',
    '0199c0ffee00',
    '0199c0ffee00.',
    '0199c0ffee00.7',
    '0199c0ffee00.0000000000000007 ',
    '0199c0ffee00.0000000000000007\n',
    '0199C0FFEE00.0000000000000007',
    '0199c0ffee00.-000000000000007',
    '0199c0ffee00.000000000000000a',
    '0199c0ffee00.00000000000000007',
    '0199c0ffee00.٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٧',
    '\u0000',
    'x'.repeat(10_000),
  ])('are refused where they are none: %j', (text) => {
    expect(() => positions.decode(text, 100)).toThrow(PositionUnknown);
  });

  it('are refused whatever the text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        expect(() => positions.decode(text, 100)).toThrow(PositionUnknown);
      }),
    );
  });

  it('tell little of a long text that is none', () => {
    let message = '';
    try {
      positions.decode('x'.repeat(1_000_000), 100);
    } catch (error) {
      message = error instanceof Error ? error.message : '';
    }
    expect(message.length).toBeLessThan(1_000);
  });
});
