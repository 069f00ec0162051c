import { createServer, type Server, type Socket } from 'node:net';
import pino from 'pino';
import { afterEach, describe, expect, test } from 'vitest';
import { createMailer, type Mail, type Mailer, MailPostponed } from '../../src/platform/mail.ts';
import {
  OutsidePartyError,
  OutsidePartyFailed,
  OutsidePartyTimedOut,
  OutsidePartyUnavailable,
} from '../../src/platform/outside-party.ts';
import { type MailServer, startMailServer } from '../support/mail-server.ts';

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

const mail = (changes: Partial<Mail> = {}): Mail => ({
  messageId: '<11111111-1111-4111-8111-111111111111@cartstream>',
  to: 'mia@example.com',
  subject: 'Your order №1',
  text: 'Thank you.\n',
  html: '<p>Thank you &amp; good-bye.</p>\n',
  ...changes,
});

async function startServer(): Promise<MailServer> {
  const server = await startMailServer();
  closing.push(server.close);
  return server;
}

function mailerFor(smtpUrl: string, timeoutMs = 10_000): Mailer {
  const mailer = createMailer({
    smtpUrl,
    from: 'Shop <shop@example.com>',
    timeoutMs,
    logger: pino({ level: 'silent' }),
  });
  closing.push(mailer.close);
  return mailer;
}

async function failureOf(work: Promise<unknown>): Promise<Error> {
  try {
    await work;
  } catch (error) {
    if (error instanceof Error) return error;
  }
  throw new Error('Nothing failed.');
}

describe('A mail', () => {
  test('reaches the mail server as text and as HTML, with its Message-ID', async () => {
    const server = await startServer();
    const sent = await mailerFor(server.url).send(mail());
    expect(sent).toEqual({ outcome: 'sent', messageId: mail().messageId });
    expect(server.mails).toMatchObject([
      {
        from: 'shop@example.com',
        to: ['mia@example.com'],
        messageId: mail().messageId,
        subject: 'Your order №1',
        text: 'Thank you.',
        html: '<p>Thank you &amp; good-bye.</p>',
      },
    ]);
    expect(server.mails[0]?.raw).toContain('From: Shop <shop@example.com>');
    expect(server.mails[0]?.raw).toContain('Auto-Submitted: auto-generated');
  });

  test('has the same Message-ID when it is sent again', async () => {
    const server = await startServer();
    const mailer = mailerFor(server.url);
    server.setTrouble('lose answer');
    await expect(mailer.send(mail())).rejects.toThrow(OutsidePartyFailed);
    server.setTrouble(undefined);
    await mailer.send(mail());
    expect(server.mails.map(({ messageId }) => messageId)).toEqual([mail().messageId, mail().messageId]);
  });

  test('goes to one person: what looks like a list of several is nobody', async () => {
    const server = await startServer();
    const sent = await mailerFor(server.url).send(mail({ to: 'mia@example.com, max@example.com' }));
    expect(sent).toEqual({ outcome: 'refused', reason: '501 RCPT TO' });
    expect(server.mails).toEqual([]);
  });

  test('cannot bring further headers with its subject', async () => {
    const server = await startServer();
    await mailerFor(server.url).send(mail({ subject: 'Hello\r\nBcc: max@example.com' }));
    expect(server.mails[0]?.raw).not.toMatch(/^Bcc:/im);
  });

  test('shares a connection with those before it', async () => {
    const server = await startServer();
    const mailer = mailerFor(server.url);
    for (const name of ['mia', 'max', 'moe']) await mailer.send(mail({ to: `${name}@example.com` }));
    expect(server.mails).toHaveLength(3);
    expect(server.connections).toBe(1);
  });
});

describe('A refusal for good', () => {
  test.each([
    { at: 'RCPT TO', code: 550, message: '5.1.1 mia@example.com: no such user', reason: '550 5.1.1 RCPT TO' },
    { at: 'RCPT TO', code: 552, message: 'mia@example.com is full', reason: '552 RCPT TO' },
    { at: 'DATA', code: 554, message: '5.7.1 This looks like spam for mia', reason: '554 5.7.1 DATA' },
  ] as const)('is an answer, without what was said of the recipient: $code at $at', async ({ reason, ...trouble }) => {
    const server = await startServer();
    server.setTrouble(trouble);
    const mailer = mailerFor(server.url);
    expect(await mailer.send(mail())).toEqual({ outcome: 'refused', reason });
    server.setTrouble(undefined);
    expect(await mailer.send(mail({ to: 'max@example.com' }))).toMatchObject({ outcome: 'sent' });
    expect(server.mails).toHaveLength(1);
  });
});

describe('What may work later is a failure', () => {
  test.each([
    { at: 'RCPT TO', code: 450, message: '4.2.1 mia@example.com is busy', shown: 'was put off (450 4.2.1 RCPT TO)' },
    { at: 'RCPT TO', code: 530, message: '5.7.0 Say who you are', shown: 'failed (530 5.7.0 RCPT TO)' },
    { at: 'DATA', code: 451, message: '4.3.0 Disk of mia is full', shown: 'was put off (451 4.3.0 DATA)' },
  ] as const)('where the server says so: $code at $at', async ({ shown, ...trouble }) => {
    const server = await startServer();
    server.setTrouble(trouble);
    const mailer = mailerFor(server.url);
    const failure = await failureOf(mailer.send(mail()));
    expect(failure.message).toBe(`mail server: send ${shown}`);
    expect(failure).toBeInstanceOf(shown.startsWith('was put off') ? MailPostponed : OutsidePartyFailed);
    server.setTrouble(undefined);
    expect(await mailer.send(mail())).toMatchObject({ outcome: 'sent' });
  });

  test('where there is no server, and it works once there is', async () => {
    const server = await startMailServer();
    const port = Number(new URL(server.url).port);
    await server.close();
    const mailer = mailerFor(server.url);
    const failure = await failureOf(mailer.send(mail()));
    expect(failure).toBeInstanceOf(OutsidePartyFailed);
    expect(failure.message).toContain('ECONNREFUSED');
    const again = await startMailServer(port);
    closing.push(again.close);
    expect(await mailer.send(mail())).toMatchObject({ outcome: 'sent' });
  });

  test('where the server went away after the mail before', async () => {
    const server = await startMailServer();
    const mailer = mailerFor(server.url);
    await mailer.send(mail());
    await server.close();
    await expect(mailer.send(mail())).rejects.toThrow(OutsidePartyFailed);
  });

  test('where the server takes longer than it may', async () => {
    const server = await startServer();
    server.setTrouble('hang');
    await expect(mailerFor(server.url, 200).send(mail())).rejects.toThrow(OutsidePartyTimedOut);
    expect(server.mails).toEqual([]);
  });

  test('where the server does not even greet', async () => {
    const silent = await startSilentServer();
    const failure = await failureOf(mailerFor(silent, 200).send(mail()));
    expect(failure).toBeInstanceOf(OutsidePartyError);
  });

  test('says nothing of the mail', async () => {
    const server = await startServer();
    server.setTrouble({ at: 'RCPT TO', code: 451, message: 'mia@example.com is greylisted' });
    const failure = await failureOf(mailerFor(server.url).send(mail()));
    const told = [failure.message, failure.stack, JSON.stringify(failure), String(failure.cause)].join('\n');
    expect(told).not.toMatch(/mia|example\.com|Thank you/);
  });
});

describe('A mail server that fails again and again', () => {
  test('is left alone for a while', async () => {
    const server = await startServer();
    server.setTrouble('lose answer');
    const mailer = mailerFor(server.url);
    for (let failures = 0; failures < 5; failures += 1) await failureOf(mailer.send(mail()));
    expect(mailer.party?.state()).toMatchObject({ name: 'mail server', breaker: 'open' });
    server.setTrouble(undefined);
    await expect(mailer.send(mail())).rejects.toThrow(OutsidePartyUnavailable);
    expect(server.mails).toHaveLength(5);
  });

  test('is not one that refuses or puts off what is sent to some', async () => {
    const server = await startServer();
    const mailer = mailerFor(server.url);
    server.setTrouble({ at: 'RCPT TO', code: 450, message: '4.2.1 Greylisted' });
    for (let times = 0; times < 6; times += 1) await failureOf(mailer.send(mail()));
    server.setTrouble({ at: 'RCPT TO', code: 550, message: '5.1.1 Nobody' });
    for (let times = 0; times < 6; times += 1) await mailer.send(mail());
    expect(mailer.party?.state()).toMatchObject({ breaker: 'closed', lastFailure: null });
  });
});

test('A mailer that is closed sends nothing more, and keeps nobody waiting', async () => {
  const server = await startServer();
  const mailer = mailerFor(server.url);
  server.setTrouble('hang');
  const hanging = failureOf(mailer.send(mail()));
  await expect.poll(() => server.connections).toBe(1);
  mailer.close();
  expect(await hanging).toBeInstanceOf(OutsidePartyFailed);
  await expect(mailer.send(mail())).rejects.toThrow(OutsidePartyFailed);
});

test('Without a mail server a mail is kept, and the log says so without saying for whom', async () => {
  const lines: string[] = [];
  const logger = pino({ base: null }, { write: (line: string) => lines.push(line) });
  const mailer = createMailer({ smtpUrl: undefined, from: 'shop@example.com', timeoutMs: 10_000, logger });
  expect(await mailer.send(mail())).toEqual({ outcome: 'kept', messageId: mail().messageId });
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({ messageId: mail().messageId, subject: 'Your order №1' });
  expect(lines[0]).not.toContain('mia');
});

/** Accepts connections, and says nothing. */
async function startSilentServer(): Promise<string> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    return new Promise((resolve) => server.close(resolve));
  });
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('It listens nowhere.');
  return `smtp://127.0.0.1:${address.port}`;
}
