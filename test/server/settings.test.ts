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
      ARCHIVE_AFTER_DAYS: 90,
      AUDIT_READS: 'off',
      AUDIT_READS_DAYS: 90,
      CART_ABANDONED_AFTER_S: 86_400,
      LEASE_S: 4,
      PAYMENT_LIMIT_S: 900,
      PAYMENT_RECONCILE_AFTER_S: 15,
      PAYMENT_PROVIDER: 'simulated',
      PROVIDER_TIMEOUT_MS: 10_000,
      MAIL_FROM: 'cartstream <shop@localhost>',
      PAYMENT_SIMULATOR_PORT: 4010,
      CARRIER_SIMULATOR_PORT: 4011,
      SIMULATOR_SECRET: 'simulated',
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
      SIMULATOR_SECRET: 'known to nobody',
      READ_WAIT_MS: '250',
      CART_ABANDONED_AFTER_S: '60',
      LEASE_S: '2',
      PAYMENT_LIMIT_S: '60',
      PAYMENT_RECONCILE_AFTER_S: '1',
      PAYMENT_PROVIDER_URL: 'http://payments.example:4010',
      CARRIER_URL: 'https://carrier.example',
      PROVIDER_TIMEOUT_MS: '500',
      SMTP_URL: 'smtps://user:password@mail.example:465',
      MAIL_FROM: 'shop@shop.example',
      CORS_ORIGINS: 'https://shop.example, http://localhost:5173',
      DEFAULT_CURRENCY: 'EUR',
    });
    expect(settings).toMatchObject({
      PORT: 0,
      READ_WAIT_MS: 250,
      CART_ABANDONED_AFTER_S: 60,
      LEASE_S: 2,
      PAYMENT_LIMIT_S: 60,
      PAYMENT_RECONCILE_AFTER_S: 1,
      PAYMENT_PROVIDER: 'simulated',
      PAYMENT_PROVIDER_URL: 'http://payments.example:4010',
      CARRIER_URL: 'https://carrier.example',
      PROVIDER_TIMEOUT_MS: 500,
      SMTP_URL: 'smtps://user:password@mail.example:465',
      MAIL_FROM: 'shop@shop.example',
      SIMULATOR_SECRET: 'known to nobody',
      CORS_ORIGINS: ['https://shop.example', 'http://localhost:5173'],
      DEFAULT_CURRENCY: 'EUR',
    });
  });

  test('of Stripe are read where it takes the money', () => {
    const stripe = {
      ...{ PAYMENT_PROVIDER: 'stripe', STRIPE_SECRET_KEY: 'sk_test_x', STRIPE_WEBHOOK_SECRET: 'whsec_x' },
      ...{ STRIPE_API_URL: 'http://localhost:12111', STRIPE_RETURN_URL: 'https://shop.example/paid' },
      SIMULATOR_SECRET: 'known to nobody',
    };
    expect(readSettings(stripe)).toMatchObject(stripe);
  });

  const STRIPE = { PAYMENT_PROVIDER: 'stripe', STRIPE_SECRET_KEY: 'sk', STRIPE_WEBHOOK_SECRET: 'whsec' };
  const SIMULATOR = { SIMULATOR_SECRET: 'known to nobody' };
  const WHOLE_SECONDS = 'must be a whole number from 1 to';

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
    [{ AUDIT_READS: 'true' }, 'AUDIT_READS must be on or off'],
    [{ AUDIT_READS_DAYS: '0' }, 'AUDIT_READS_DAYS must be a whole number from 1 to 36500'],
    [{ READ_WAIT_MS: 'soon' }, 'READ_WAIT_MS must be a whole number from 0 to 60000'],
    [{ READ_WAIT_MS: '60001' }, 'READ_WAIT_MS must be a whole number from 0 to 60000'],
    [{ CART_ABANDONED_AFTER_S: '0' }, 'CART_ABANDONED_AFTER_S must be a whole number from 1 to 31536000'],
    [{ MASTER_KEY: 'short' }, 'MASTER_KEY must be 32 bytes, in base64 or hex'],
    [{ LEASE_S: '0' }, 'LEASE_S must be a whole number from 1 to 300'],
    [{ CORS_ORIGINS: 'https://shop.example/path' }, 'CORS_ORIGINS must be origins like https://shop.example'],
    [{ CORS_ORIGINS: 'shop.example' }, 'CORS_ORIGINS must be origins like https://shop.example'],
    [{ CORS_ORIGINS: '*' }, 'CORS_ORIGINS must be origins like https://shop.example'],
    [{ DEFAULT_CURRENCY: 'gbp' }, 'DEFAULT_CURRENCY must be an ISO 4217 code'],
    [{ PAYMENT_LIMIT_S: '0' }, `PAYMENT_LIMIT_S ${WHOLE_SECONDS} 2592000`],
    [{ PAYMENT_LIMIT_S: '2592001' }, `PAYMENT_LIMIT_S ${WHOLE_SECONDS} 2592000`],
    [{ PAYMENT_RECONCILE_AFTER_S: '3601' }, `PAYMENT_RECONCILE_AFTER_S ${WHOLE_SECONDS} 3600`],
    [{ PAYMENT_PROVIDER: 'cash' }, 'PAYMENT_PROVIDER must be simulated or stripe'],
    [{ PAYMENT_PROVIDER_URL: 'payments:4010' }, 'PAYMENT_PROVIDER_URL must be like https://host'],
    [{ CARRIER_URL: 'ftp://carrier' }, 'CARRIER_URL must be like https://host'],
    [{ PROVIDER_TIMEOUT_MS: '9' }, 'PROVIDER_TIMEOUT_MS must be a whole number from 10 to 600000'],
    [{ PAYMENT_SIMULATOR_PORT: '65536' }, 'PAYMENT_SIMULATOR_PORT must be a whole number from 0 to 65535'],
    [{ CARRIER_SIMULATOR_PORT: 'x' }, 'CARRIER_SIMULATOR_PORT must be a whole number from 0 to 65535'],
    [{ ...SIMULATOR, ...STRIPE, STRIPE_SECRET_KEY: '' }, 'STRIPE_SECRET_KEY is needed with PAYMENT_PROVIDER=stripe'],
    [
      { ...SIMULATOR, ...STRIPE, STRIPE_WEBHOOK_SECRET: '' },
      'STRIPE_WEBHOOK_SECRET is needed with PAYMENT_PROVIDER=stripe',
    ],
    [{ STRIPE_API_URL: 'stripe' }, 'STRIPE_API_URL must be like https://host'],
    [{ STRIPE_RETURN_URL: 'shop.example' }, 'STRIPE_RETURN_URL must be like https://host'],
    [STRIPE, 'SIMULATOR_SECRET is needed with PAYMENT_PROVIDER=stripe'],
    [{ ...STRIPE, SIMULATOR_SECRET: '' }, 'SIMULATOR_SECRET is needed with PAYMENT_PROVIDER=stripe'],
    [{ AUTH_MODE: 'jwt', JWT_SECRET }, 'SIMULATOR_SECRET is needed with AUTH_MODE=jwt'],
    [{ SMTP_URL: 'mail.example:25' }, 'SMTP_URL must be like smtp://user:password@host:587'],
    [{ SMTP_URL: 'https://mail.example' }, 'SMTP_URL must be like smtp://user:password@host:587'],
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

  test.each([
    { AUTH_MODE: 'jwt', JWT_SECRET: 'aSecret' },
    { MASTER_KEY: 'aSecret' },
    { SMTP_URL: 'user:aSecret@mail.example' },
    { ...STRIPE, STRIPE_SECRET_KEY: 'aSecret' },
  ])('never show the secret in a message: %j', (variables) => {
    expect(() => readSettings(variables)).toThrow(
      expect.not.objectContaining({ message: expect.stringContaining('aSecret') }),
    );
    expect(() => readSettings(variables)).toThrow(InvalidSettings);
  });

  test('need the secret of the simulators where others could come by, and nowhere else', () => {
    expect(readSettings({ AUTH_MODE: 'jwt', JWT_SECRET, ...SIMULATOR })).toMatchObject(SIMULATOR);
    expect(readSettings({ AUTH_MODE: 'open', PAYMENT_PROVIDER: 'simulated' }).SIMULATOR_SECRET).toBe('simulated');
  });

  test('have mail come from the shop itself, unless it is said from whom', () => {
    expect(readSettings({ MAIL_FROM: '' }).MAIL_FROM).toBe('cartstream <shop@localhost>');
    expect(readSettings({ MAIL_FROM: 'Shop <a@shop.example>' }).MAIL_FROM).toBe('Shop <a@shop.example>');
  });

  test.each(['localhost', '127.0.0.1', '127.8.9.1', '::1'])('let everybody do everything on %s', (HOST) => {
    expect(readSettings({ HOST }).AUTH_MODE).toBe('open');
  });
});
