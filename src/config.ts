import process from 'node:process';
import { z } from 'zod';
import { LOG_LEVELS } from './platform/logger.ts';

/** A setting is wrong. The message names each and says what it must be. */
export class InvalidSettings extends Error {
  override readonly name = 'InvalidSettings';
}

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|::1)$/;

const integer = (fallback: number, min: number, max: number) =>
  z.coerce
    .number(`must be a whole number from ${min} to ${max}`)
    .int(`must be a whole number from ${min} to ${max}`)
    .min(min, `must be at least ${min}`)
    .max(max, `must be at most ${max}`)
    .default(fallback);

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

const environment = z
  .object({
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
  })
  .superRefine((it, context) => {
    if (it.AUTH_MODE === 'open' && !LOOPBACK.test(it.HOST)) {
      context.addIssue({
        code: 'custom',
        path: ['AUTH_MODE'],
        message: `is open, which lets everybody do everything: not with HOST=${it.HOST}. Set AUTH_MODE=jwt, or HOST=127.0.0.1`,
      });
    }
    if (it.AUTH_MODE === 'jwt' && it.JWT_SECRET === undefined) {
      context.addIssue({ code: 'custom', path: ['JWT_SECRET'], message: 'is needed with AUTH_MODE=jwt' });
    }
  });

export type Settings = z.output<typeof environment>;

/**
 * The settings, from environment variables; an empty one counts as absent. Read nowhere else.
 * @throws {InvalidSettings}
 */
export function readSettings(variables: Readonly<Record<string, string | undefined>> = process.env): Settings {
  const present = Object.fromEntries(Object.entries(variables).filter(([, value]) => value !== ''));
  const result = environment.safeParse(present);
  if (result.success) return result.data;
  const problems = result.error.issues.map(({ path, message }) => `  ${path.join('.')} ${message}`);
  throw new InvalidSettings(`These environment variables are wrong:\n${problems.join('\n')}`);
}
