import { expect, test } from 'vitest';
import { tooManyPieces } from '../../src/contexts/cart/policy.ts';
import { insufficientStock } from '../../src/contexts/rejections.ts';

test('A product whose sku is a number does not read like a count', () => {
  expect(insufficientStock('10002', 3, 1).message).toBe('3 of "10002" were asked for, but 1 are available.');
  expect(tooManyPieces('10002').message).toContain('here "10002".');
});
