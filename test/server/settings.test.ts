import { describe, expect, test } from 'vitest';
import { InvalidSettings, readSettings } from '../../src/config.ts';

const JWT_SECRET = 'a secret of at least thirty-two bytes';

describe('Settings', () => {
  test('have defaults that need nothing', () => {
    expect(readSettings({})).toEqual({
      PORT: 4000,
      HOST: '127.0.0.1',
      DATA_DIR: './data',
      LOG_LEVEL: 'info',
      AUTH_MODE: 'open',
      READ_WAIT_MS: 5_000,
      CORS_ORIGINS: [],
      DEFAULT_CURRENCY: 'GBP',
    });
  });

  test('that are empty count as absent', () => {
    expect(readSettings({ PORT: '', DATABASE_URL: '', JWT_SECRET: '', CORS_ORIGINS: '' })).toEqual(readSettings({}));
  });

  test('are read from their texts', () => {
    const settings = readSettings({
      PORT: '0',
      HOST: '0.0.0.0',
      DATABASE_URL: 'postgres://user:password@db:5432/shop',
      LOG_LEVEL: 'debug',
      AUTH_MODE: 'jwt',
      JWT_SECRET,
      READ_WAIT_MS: '250',
      CORS_ORIGINS: 'https://shop.example, http://localhost:5173',
      DEFAULT_CURRENCY: 'EUR',
    });
    expect(settings).toMatchObject({
      PORT: 0,
      READ_WAIT_MS: 250,
      CORS_ORIGINS: ['https://shop.example', 'http://localhost:5173'],
      DEFAULT_CURRENCY: 'EUR',
    });
  });

  test.each([
    [{ PORT: 'abc' }, 'PORT must be a whole number from 0 to 65535'],
    [{ PORT: '4000.5' }, 'PORT must be a whole number from 0 to 65535'],
    [{ PORT: '-1' }, 'PORT must be a whole number from 0 to 65535'],
    [{ PORT: '65536' }, 'PORT must be a whole number from 0 to 65535'],
    [{ PORT: ' ' }, 'PORT must be a whole number from 0 to 65535'],
    [{ DATABASE_URL: 'mysql://db/shop' }, 'DATABASE_URL must be like postgresql://'],
    [{ LOG_LEVEL: 'loud' }, 'LOG_LEVEL must be one of'],
    [{ AUTH_MODE: 'none' }, 'AUTH_MODE must be open or jwt'],
    [{ AUTH_MODE: 'jwt' }, 'JWT_SECRET is needed with AUTH_MODE=jwt'],
    [{ AUTH_MODE: 'jwt', JWT_SECRET: 'short' }, 'JWT_SECRET must have at least 32 bytes'],
    [{ READ_WAIT_MS: 'soon' }, 'READ_WAIT_MS must be a whole number from 0 to 60000'],
    [{ READ_WAIT_MS: '60001' }, 'READ_WAIT_MS must be a whole number from 0 to 60000'],
    [{ CORS_ORIGINS: 'https://shop.example/path' }, 'CORS_ORIGINS must be origins like https://shop.example'],
    [{ CORS_ORIGINS: 'shop.example' }, 'CORS_ORIGINS must be origins like https://shop.example'],
    [{ CORS_ORIGINS: '*' }, 'CORS_ORIGINS must be origins like https://shop.example'],
    [{ DEFAULT_CURRENCY: 'gbp' }, 'DEFAULT_CURRENCY must be an ISO 4217 code'],
    [{ HOST: '0.0.0.0' }, 'AUTH_MODE is open, which lets everybody do everything: not with HOST=0.0.0.0'],
    [{ HOST: '::' }, 'AUTH_MODE is open'],
    [{ HOST: '192.168.1.4' }, 'AUTH_MODE is open'],
    [{ HOST: 'shop.example' }, 'AUTH_MODE is open'],
    [{ HOST: '127.0.0.1.shop.example' }, 'AUTH_MODE is open'],
  ])('%j: %s', (variables, message) => {
    expect(() => readSettings(variables)).toThrow(InvalidSettings);
    expect(() => readSettings(variables)).toThrow(message);
  });

  test('that are wrong are all named at once', () => {
    const wrong = { PORT: 'abc', LOG_LEVEL: 'loud', HOST: '0.0.0.0' };
    expect(() => readSettings(wrong)).toThrow(/PORT must[^\n]*\n.*LOG_LEVEL must/);
    expect(() => readSettings(wrong)).toThrow('AUTH_MODE is open');
  });

  test('never show the secret in a message', () => {
    expect(() => readSettings({ AUTH_MODE: 'jwt', JWT_SECRET: 'tooShortSecret' })).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('tooShortSecret') }),
    );
  });

  test.each(['localhost', '127.0.0.1', '127.8.9.1', '::1'])('let everybody do everything on %s', (HOST) => {
    expect(readSettings({ HOST }).AUTH_MODE).toBe('open');
  });
});
