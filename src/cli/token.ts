import process from 'node:process';
import { z } from 'zod';
import { InvalidSettings, readSettings } from '../config.ts';
import { isSubject, issueToken, ROLES, SUBJECT_RULE } from '../server/authentication.ts';
import { optionProblems } from './option-problems.ts';

const SECONDS = 'must be a whole number of seconds, 1 or more';
const options = z
  .object({
    role: z.enum(ROLES),
    subject: z.string(),
    expiresIn: z.coerce.number(SECONDS).int(SECONDS).min(1, SECONDS),
  })
  .refine(({ role, subject }) => isSubject(role, subject), {
    path: ['subject'],
    error: SUBJECT_RULE,
  });

export async function printToken(given: { role: string; subject: string; expiresIn: string }): Promise<void> {
  const parsed = options.safeParse(given);
  if (!parsed.success) throw new InvalidSettings(optionProblems(parsed.error));
  const { role, subject, expiresIn } = parsed.data;
  const { JWT_SECRET: secret } = readSettings();
  if (secret === undefined) throw new InvalidSettings('Set JWT_SECRET to the secret of the server: at least 32 bytes.');
  process.stdout.write(`${await issueToken(secret, role, subject, expiresIn)}\n`);
}
