import { describe, expect, test } from 'vitest';
import { encodeGlobalId, idAsOf, isRawId, parseGlobalId } from '../../src/graphql/global-id.ts';

const POSITION = 999_999_999_999_999;
const written = (bytes: string | Uint8Array) => Buffer.from(bytes).toString('base64url');

describe('An id', () => {
  test.each([
    ['letters', 'ada'],
    ['a guest', 'guest:ada'],
    ['an umlaut', 'jürgen'],
    ['an umlaut in two parts', 'jürgen'.normalize('NFD')],
    ['other scripts, a space and emoji', '李雷 ‏אדה 👩🏽‍🚀'],
    ['what U+FFFD is', 'a\ufffdb'],
    ['the longest name of a guest, of three bytes each', `guest:${'李'.repeat(200)}`],
    ['the longest name of a guest, of four bytes each', `guest:${'🎩'.repeat(200)}`],
  ])('of %s is read as it was written, also as of a point in time', (_, id) => {
    expect(isRawId(id)).toBe(true);
    for (const asOf of [undefined, 0, POSITION]) {
      const typename = 'CustomerOfALongName';
      expect(parseGlobalId(encodeGlobalId(typename, idAsOf(id, asOf)))).toEqual({ typename, id, asOf });
    }
  });

  test.each([
    ['nothing', ''],
    ['U+0000', 'a\u0000b'],
    ['what separates a point in time', 'a\u001f7'],
    ['a line break', 'ada\n'],
    ['U+007F', 'a\u007f'],
    ['U+0085', 'a\u0085'],
  ])('of %s is none', (_, id) => {
    expect(isRawId(id)).toBe(false);
    expect(parseGlobalId(written(`Customer:${id}`))).toBeUndefined();
  });

  test('of half a character is none', () => {
    for (const half of ['a\ud800', '\udc00b']) expect(isRawId(half)).toBe(false);
  });

  test.each([
    ['bytes that are no UTF-8', written(Uint8Array.of(...Buffer.from('Customer:a'), 0xfc))],
    ['half a character in bytes', written(Uint8Array.of(...Buffer.from('Customer:a'), 0xed, 0xa0, 0x80))],
    ['padding', `${written('Customer:j')}==`],
    ['the alphabet of base64', Buffer.from('Customer:>>>???').toString('base64')],
    ['bits that are left over', written('Customer:j').replace(/g$/, 'h')],
    ['white space', ` ${written('Customer:ada')}`],
    ['a position with zeros before it', written('Customer@007:ada')],
    ['no type', written(':ada')],
    ['no id at all', written('Customer')],
    ['more than any has', written(`Customer:${'x'.repeat(1_000)}`)],
  ])('is not written with %s', (_, globalId) => {
    expect(parseGlobalId(globalId)).toBeUndefined();
  });
});
