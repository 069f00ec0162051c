import { createTransport } from 'nodemailer';
import { z } from 'zod';
import type { Logger } from './logger.ts';
import { OutsideParty, OutsidePartyError, OutsidePartyFailed } from './outside-party.ts';

/** One mail to one person. */
export interface Mail {
  /** `<…@…>`. The same again for a repeat: so whoever gets both can tell. */
  readonly messageId: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/**
 * `kept`: there is no mail server, and nothing was sent. `refused`: it never will be delivered, however often it is tried;
 * the reason is what the server answered, without its words: they may name the recipient.
 */
export type MailOutcome =
  | { readonly outcome: 'sent' | 'kept'; readonly messageId: string }
  | { readonly outcome: 'refused'; readonly reason: string };

/** The way that mail goes out. */
export interface Mailer {
  /** The mail server, as it is called; undefined where there is none. */
  readonly party: OutsideParty | undefined;
  /** @throws {OutsidePartyError} it may work later. Says nothing of the mail. */
  send(mail: Mail): Promise<MailOutcome>;
  /** Ends the connections to the mail server, also of mails on their way. */
  close(): void;
}

export interface MailSettings {
  /** `smtp://user:password@host:587` or `smtps://…`; without one, nothing is sent. */
  readonly smtpUrl: string | undefined;
  /** Whom mails come from: `Shop <shop@example.com>`. */
  readonly from: string;
  /** How long a mail may take, in milliseconds. */
  readonly timeoutMs: number;
  /** For so long a mail server that failed too often is left alone. */
  readonly openForMs?: number | undefined;
  readonly logger: Logger;
}

/** The mail server is there, and does not take this mail now: its mailbox is busy, say. */
export class MailPostponed extends OutsidePartyError {
  override readonly name = 'MailPostponed';
}

/** Mails at once, each on a connection that is kept open: most servers would turn more away. */
const CONNECTIONS = 4;

/** The way out that the settings name. */
export function createMailer({ smtpUrl, from, timeoutMs, openForMs, logger }: MailSettings): Mailer {
  return smtpUrl === undefined ? keepingMailer(logger) : smtpMailer(smtpUrl, from, timeoutMs, openForMs);
}

function keepingMailer(logger: Logger): Mailer {
  return {
    party: undefined,
    async send({ messageId, subject }) {
      logger.info({ messageId, subject }, 'a mail was written, and kept: no mail server is set (SMTP_URL)');
      return { outcome: 'kept', messageId };
    },
    close() {},
  };
}

function smtpMailer(url: string, from: string, timeoutMs: number, openForMs: number | undefined): Mailer {
  const party = new OutsideParty({ name: 'mail server', timeoutMs, openForMs, atOnce: CONNECTIONS });
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: CONNECTIONS,
    // Only where the server closed a connection before it was told anything of the mail.
    maxRequeues: 1,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
  });
  async function hand({ messageId, to, subject, text, html }: Mail, signal: AbortSignal) {
    try {
      await transport.sendMail({
        messageId,
        from,
        // Not as text, which could be taken for a list of several.
        to: { name: '', address: to },
        subject,
        text,
        html,
        headers: { 'Auto-Submitted': 'auto-generated' },
        disableFileAccess: true,
        disableUrlAccess: true,
        signal,
      });
      return { outcome: 'sent', messageId } as const;
    } catch (error) {
      return afterFailure(smtpFailure.parse(error), party);
    }
  }
  return {
    party,
    async send(mail) {
      const outcome = await party.call('send', (signal) => hand(mail, signal));
      if (outcome instanceof MailPostponed) throw outcome;
      return outcome;
    },
    close: () => transport.close({ force: true }),
  };
}

/**
 * What a failure says of the mail. An answer about this one says nothing against the server, and is given back; whatever
 * else counts as a failure of the server, and is thrown.
 */
function afterFailure(failure: SmtpFailure, { name }: OutsideParty): MailOutcome | MailPostponed {
  const { command, responseCode = 0, permanent } = failure;
  const isOfThisMail = (command === 'RCPT TO' || command === 'DATA') && !OF_THE_SERVER.has(responseCode);
  if (isOfThisMail && permanent === true) return { outcome: 'refused', reason: shown(failure) };
  if (isOfThisMail && permanent === false) return new MailPostponed(name, 'send', `was put off (${shown(failure)})`);
  throw new OutsidePartyFailed(name, 'send', `failed (${shown(failure)})`);
}

/** It is being stopped, or wants other credentials: that is to be mended, and then every mail is taken. */
const OF_THE_SERVER = new Set([421, 530, 534, 535, 538]);

/** What the SMTP library says of a failure. Its message is left out: it repeats what the server said. */
const smtpFailure = z.object({
  code: z.string().optional().catch(undefined),
  /** Of the system, below it: ECONNREFUSED, say. */
  originalCode: z.string().optional().catch(undefined),
  /** What the server was told last: `RCPT TO`. */
  command: z.string().optional().catch(undefined),
  response: z.string().optional().catch(undefined),
  responseCode: z.number().optional().catch(undefined),
  /** It is a refusal that the same mail would get again. */
  permanent: z.boolean().optional().catch(undefined),
});
type SmtpFailure = z.output<typeof smtpFailure>;

/** Codes alone, and what the server was told last: `550 5.1.1 RCPT TO`, `ESOCKET ECONNREFUSED CONN`. */
function shown({ code, originalCode, command, response, responseCode }: SmtpFailure): string {
  const [, enhanced] = /^\d{3}[ -](\d\.\d{1,3}\.\d{1,3})\b/.exec(response ?? '') ?? [];
  const codes = responseCode === undefined ? [code, originalCode] : [String(responseCode), enhanced];
  const known = codes.filter((it) => it !== undefined).join(' ') || 'unknown';
  return command === undefined ? known : `${known} ${command}`;
}
