import process from 'node:process';
import { z } from 'zod';
import { LOG_LEVELS } from './platform/logger.ts';
import { parseMasterKey } from './platform/master-key.ts';

/** A setting is wrong. The message names each and says what it must be. */
export class InvalidSettings extends Error {
  override readonly name = 'InvalidSettings';
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

const integer = (fallback: number, min: number, max: number) => {
  const problem = `must be a whole number from ${min} to ${max}`;
  const isWithin = (it: string) => /^\d{1,9}$/.test(it) && Number(it) >= min && Number(it) <= max;
  return z.string().refine(isWithin, problem).transform(Number).default(fallback);
};

const origins = z
  .string()
  .transform((list) =>
    list
      .split(',')
      .map((it) => it.trim())
      .filter(Boolean),
  )
  .refine(
    (list) => list.every((it) => URL.canParse(it) && new URL(it).origin === it),
    'must be origins like https://shop.example, with commas between them',
  );

const httpUrl = z.string().regex(/^https?:\/\//, 'must be like https://host');

/** Where a server of these settings listens. */
const address = z.object({
  PORT: integer(4000, 0, 65_535),
  HOST: z.string().min(1).default('127.0.0.1'),
  DATA_DIR: z.string().min(1).default('./data'),
  DATABASE_URL: z.string().optional(),
});

const environment = z.object({
  ...address.shape,
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be like postgresql://user:password@host:5432/database')
    .optional(),
  MASTER_KEY: z
    .string()
    .refine((it) => parseMasterKey(it) !== undefined, 'must be 32 bytes, in base64 or hex')
    .optional(),
  MASTER_KEY_PREVIOUS: z
    .string()
    .refine((it) => parseMasterKey(it) !== undefined, 'must be 32 bytes, in base64 or hex')
    .optional(),
  FORGOTTEN_FILE: z.string().min(1).optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  AUTH_MODE: z.enum(['open', 'jwt'], 'must be open or jwt').default('open'),
  JWT_SECRET: z
    .string()
    .refine((it) => Buffer.byteLength(it) >= 32, 'must have at least 32 bytes')
    .optional(),
  READ_WAIT_MS: integer(5_000, 0, 60_000),
  AUDIT_READS: z.enum(['on', 'off'], 'must be on or off').default('off'),
  AUDIT_READS_DAYS: integer(90, 1, 36_500),
  CART_ABANDONED_AFTER_S: integer(86_400, 1, 31_536_000),
  LEASE_S: integer(4, 1, 300),
  ARCHIVE_AFTER_DAYS: integer(90, 0, 36_500),
  PAYMENT_LIMIT_S: integer(900, 1, 2_592_000),
  PAYMENT_RECONCILE_AFTER_S: integer(15, 1, 3_600),
  PAYMENT_PROVIDER: z.enum(['simulated', 'stripe'], 'must be simulated or stripe').default('simulated'),
  PAYMENT_PROVIDER_URL: httpUrl.optional(),
  CARRIER_URL: httpUrl.optional(),
  PROVIDER_TIMEOUT_MS: integer(10_000, 10, 600_000),
  STRIPE_SECRET_KEY: z.string().optional(),
  STRIPE_WEBHOOK_SECRET: z.string().optional(),
  STRIPE_API_URL: httpUrl.optional(),
  STRIPE_RETURN_URL: httpUrl.optional(),
  SMTP_URL: z
    .string()
    .regex(/^smtps?:\/\//, 'must be like smtp://user:password@host:587')
    .optional(),
  MAIL_FROM: z.string().min(1).default('cartstream <shop@localhost>'),
  PAYMENT_SIMULATOR_PORT: integer(4010, 0, 65_535),
  CARRIER_SIMULATOR_PORT: integer(4011, 0, 65_535),
  SIMULATOR_SECRET: z.string().min(1).default('simulated'),
  CORS_ORIGINS: origins.default([]),
  DEFAULT_CURRENCY: z
    .string()
    .refine((code) => Intl.supportedValuesOf('currency').includes(code), 'must be an ISO 4217 code like GBP')
    .default('GBP'),
});

export type Settings = z.output<typeof environment>;

/**
 * The settings, from environment variables; an empty one counts as absent. Read nowhere else.
 * @throws {InvalidSettings}
 */
export function readSettings(variables: Variables = process.env): Settings {
  const present = presentOf(variables);
  return settingsOf(environment.safeParse(present), problemsBetween(present));
}

/** Where a server of these settings listens, and what it has, whatever else is set. @throws {InvalidSettings} */
export function readAddress(variables: Variables = process.env): z.output<typeof address> {
  return settingsOf(address.safeParse(presentOf(variables)), []);
}

function presentOf(variables: Variables): Variables {
  return Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
}

function settingsOf<Output>(result: z.ZodSafeParseResult<Output>, further: readonly string[]): Output {
  const issues = result.error?.issues ?? [];
  const problems = [...issues.map(({ path, message }) => `${path.join('.')} ${message}`), ...further];
  if (result.success && problems.length === 0) return result.data;
  throw new InvalidSettings(`These environment variables are wrong:\n${problems.map((it) => `  ${it}`).join('\n')}`);
}

/** What is wrong with variables that are right one by one. */
function problemsBetween(variables: Variables): string[] {
  return [
    ...problemsOfKeys(variables),
    ...problemsOfAccess(variables),
    ...problemsOfPayment(variables),
    ...problemsOfSimulators(variables),
  ];
}

function problemsOfKeys({ MASTER_KEY: key, MASTER_KEY_PREVIOUS: previous }: Variables): string[] {
  if (previous === undefined || key !== undefined) return [];
  return ['MASTER_KEY_PREVIOUS is for going over to a new master key: set MASTER_KEY to that one'];
}

/** Who knows the secret can say in the carrier's name that goods were lost, and has money paid back. */
function problemsOfSimulators({
  AUTH_MODE: mode,
  PAYMENT_PROVIDER: provider,
  SIMULATOR_SECRET: secret,
}: Variables): string[] {
  if (secret !== undefined || (mode !== 'jwt' && provider !== 'stripe')) return [];
  const cause = provider === 'stripe' ? 'PAYMENT_PROVIDER=stripe' : 'AUTH_MODE=jwt';
  return [`SIMULATOR_SECRET is needed with ${cause}: everybody knows the one that is there without it`];
}

function problemsOfPayment({ PAYMENT_PROVIDER: provider, ...others }: Variables): string[] {
  if (provider !== 'stripe') return [];
  const needed = ['STRIPE_SECRET_KEY', 'STRIPE_WEBHOOK_SECRET'].filter((name) => others[name] === undefined);
  return needed.map((name) => `${name} is needed with PAYMENT_PROVIDER=stripe`);
}

function problemsOfAccess({ AUTH_MODE: mode = 'open', HOST: host, JWT_SECRET: secret }: Variables): string[] {
  if (mode === 'jwt' && secret === undefined) return ['JWT_SECRET is needed with AUTH_MODE=jwt'];
  if (mode !== 'open' || host === undefined || LOOPBACK.test(host)) return [];
  return [
    `AUTH_MODE is open, which lets everybody do everything: not with HOST=${host}. Set AUTH_MODE=jwt, or HOST=127.0.0.1`,
  ];
}

type Variables = Readonly<Record<string, string | undefined>>;
