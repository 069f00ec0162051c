import process from 'node:process';
import { z } from 'zod';
import { LOG_LEVELS } from './platform/logger.ts';

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

const environment = z.object({
  PORT: integer(4000, 0, 65_535),
  HOST: z.string().min(1).default('127.0.0.1'),
  DATA_DIR: z.string().min(1).default('./data'),
  DATABASE_URL: z
    .string()
    .regex(/^postgres(ql)?:\/\//, 'must be like postgresql://user:password@host:5432/database')
    .optional(),
  LOG_LEVEL: z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`).default('info'),
  AUTH_MODE: z.enum(['open', 'jwt'], 'must be open or jwt').default('open'),
  JWT_SECRET: z
    .string()
    .refine((it) => Buffer.byteLength(it) >= 32, 'must have at least 32 bytes')
    .optional(),
  READ_WAIT_MS: integer(5_000, 0, 60_000),
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
  const present = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
  const result = environment.safeParse(present);
  const problems = [
    ...(result.error?.issues ?? []).map(({ path, message }) => `${path.join('.')} ${message}`),
    ...problemsBetween(present),
  ];
  if (result.success && problems.length === 0) return result.data;
  throw new InvalidSettings(`These environment variables are wrong:\n${problems.map((it) => `  ${it}`).join('\n')}`);
}

/** What is wrong with variables that are right one by one. */
function problemsBetween({ AUTH_MODE: mode = 'open', HOST: host, JWT_SECRET: secret }: Variables): string[] {
  if (mode === 'jwt' && secret === undefined) return ['JWT_SECRET is needed with AUTH_MODE=jwt'];
  if (mode !== 'open' || host === undefined || LOOPBACK.test(host)) return [];
  return [
    `AUTH_MODE is open, which lets everybody do everything: not with HOST=${host}. Set AUTH_MODE=jwt, or HOST=127.0.0.1`,
  ];
}

type Variables = Readonly<Record<string, string | undefined>>;
