import type { AddressInfo } from 'node:net';
import { SMTPServer } from 'smtp-server';

/** A mail as it reached the server. */
export interface ReceivedMail {
  readonly messageId: string;
  readonly from: string;
  readonly to: readonly string[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly raw: string;
}

/** What the server answers where it does not take the mail: `hang` is no answer at all. */
export type MailTrouble =
  | { readonly at: 'RCPT TO' | 'DATA'; readonly code: number; readonly message: string }
  | 'hang'
  /** It takes the mail, and the line goes dead before it has said so. */
  | 'lose answer'
  /** The same, for one mail. */
  | 'lose one answer';

/** A real SMTP server on loopback, which keeps what it is sent. */
export interface MailServer {
  readonly url: string;
  readonly mails: readonly ReceivedMail[];
  /** Connections that were ever opened. */
  readonly connections: number;
  /** From now on. Undefined: it takes everything. */
  setTrouble(trouble: MailTrouble | undefined): void;
  close(): Promise<void>;
}

export async function startMailServer(port = 0): Promise<MailServer> {
  const mails: ReceivedMail[] = [];
  let trouble: MailTrouble | undefined;
  let connections = 0;
  const refusalAt = (at: 'RCPT TO' | 'DATA') =>
    typeof trouble === 'object' && trouble.at === at
      ? Object.assign(new Error(trouble.message), { responseCode: trouble.code })
      : undefined;
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    closeTimeout: 1,
    onConnect(_session, done) {
      connections += 1;
      done();
    },
    onRcptTo(_address, _session, done) {
      if (trouble !== 'hang') done(refusalAt('RCPT TO'));
    },
    onData(stream, session, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const refusal = refusalAt('DATA');
        if (refusal !== undefined) return done(refusal);
        const { mailFrom, rcptTo } = session.envelope;
        const from = mailFrom === false ? '' : mailFrom.address;
        mails.push({ from, to: rcptTo.map(({ address }) => address), ...contentOf(Buffer.concat(chunks).toString()) });
        const isLost = trouble === 'lose answer' || trouble === 'lose one answer';
        if (trouble === 'lose one answer') trouble = undefined;
        done(isLost ? Object.assign(new Error('Gone.'), { responseCode: 421 }) : undefined);
      });
    },
  });
  await new Promise<void>((resolve, reject) => {
    server.on('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  // A client that is stopped in the middle is no failure of the server.
  server.removeAllListeners('error');
  server.on('error', () => {});
  const { port: listening } = server.server.address() as AddressInfo;
  return {
    url: `smtp://127.0.0.1:${listening}`,
    mails,
    get connections() {
      return connections;
    },
    setTrouble(next) {
      trouble = next;
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  };
}

/** The parts of a mail in two versions, text and HTML. */
function contentOf(raw: string) {
  const [head = '', ...rest] = raw.split('\r\n\r\n');
  const [, boundary = ''] = /boundary="([^"]+)"/.exec(unfolded(head)) ?? [];
  const parts = rest.join('\r\n\r\n').split(`--${boundary}`);
  const part = (type: string) => bodyOf(parts.find((it) => it.includes(`Content-Type: ${type}`)) ?? '');
  return {
    messageId: header(head, 'Message-ID'),
    subject: header(head, 'Subject'),
    text: part('text/plain'),
    html: part('text/html'),
    raw,
  };
}

function bodyOf(part: string): string {
  const [head = '', ...rest] = part.split('\r\n\r\n');
  const body = rest.join('\r\n\r\n');
  const encoding = header(head, 'Content-Transfer-Encoding').toLowerCase();
  if (encoding === 'base64') return Buffer.from(body, 'base64').toString();
  return (encoding === 'quoted-printable' ? unquoted(body) : body).replaceAll('\r\n', '\n').trimEnd();
}

/** RFC 2045, 6.7. */
function unquoted(text: string): string {
  const bytes = text
    .replace(/=\r\n/g, '')
    .replace(/=([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, 'latin1').toString();
}

function unfolded(head: string): string {
  return head.replace(/\r\n[ \t]+/g, ' ');
}

/** A header with its encoded words (RFC 2047) read. */
function header(head: string, name: string): string {
  const line = unfolded(head)
    .split('\r\n')
    .find((it) => it.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  const value = line?.slice(name.length + 1).trim() ?? '';
  return value
    .replace(/\?= =\?/g, '?==?')
    .replace(/=\?utf-8\?([QB])\?([^?]*)\?=/gi, (_, kind: string, text: string) =>
      kind.toUpperCase() === 'B' ? Buffer.from(text, 'base64').toString() : unquoted(text.replaceAll('_', ' ')),
    );
}
