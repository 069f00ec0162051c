import { describe, expect, test } from 'vitest';
import { checkWebhookSignature, signWebhook } from '../../src/platform/webhook-signature.ts';

const NOW = new Date('2030-01-31T12:00:00Z');
const body = Buffer.from('{"id":"evt_1"}');
const header = signWebhook('a secret', body, NOW);
const later = (seconds: number) => new Date(NOW.getTime() + seconds * 1_000);

describe('The signature of a webhook', () => {
  test('holds for its body, for a while', () => {
    for (const seconds of [-300, 0, 300]) {
      expect(() => checkWebhookSignature('a secret', header, body, later(seconds))).not.toThrow();
    }
  });

  test('holds beside one by another secret, as long as a sender changes its secret', () => {
    const [t, v1] = header.split(',');
    const both = `${t},v1=${'0'.repeat(64)},${v1}`;
    expect(() => checkWebhookSignature('a secret', both, body, NOW)).not.toThrow();
  });

  test.each<[string, string | undefined, Buffer, Date]>([
    ['none', undefined, body, NOW],
    ['nonsense', 'nonsense', body, NOW],
    ['no time', header.replace(/t=\d+/, 't=now'), body, NOW],
    ['another time', header.replace(/t=\d+/, 't=1'), body, NOW],
    ['half of it', header.slice(0, -2), body, NOW],
    ['another body', header, Buffer.from('{"id":"evt_2"}'), NOW],
    ['one by another secret', signWebhook('another', body, NOW), body, NOW],
    ['an old one', header, body, later(301)],
    ['one from the future', header, body, later(-301)],
  ])('is refused: %s', (_, given, of, now) => {
    expect(() => checkWebhookSignature('a secret', given, of, now)).toThrow(
      expect.objectContaining({ name: 'SignatureRefused' }),
    );
  });
});
