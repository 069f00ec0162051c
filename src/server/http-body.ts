import { isUtf8 } from 'node:buffer';
import type { IncomingMessage, ServerResponse } from 'node:http';

/** The largest request body, in bytes. */
export const MAX_BODY_BYTES = 2 * 1024 * 1024;

/** A body that is not read to its end, with the status and code to answer. */
export class BadBody extends Error {
  override readonly name = 'BadBody';
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** Reads a body of text. @throws {BadBody} it is too large, or no UTF-8 */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > MAX_BODY_BYTES) {
        request.removeAllListeners('data').resume();
        reject(new BadBody(413, 'PAYLOAD_TOO_LARGE', `A request has at most ${MAX_BODY_BYTES} bytes.`));
        return;
      }
      chunks.push(chunk);
    });
    request.on('end', () => {
      const body = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      if (isUtf8(body)) resolve(body);
      else reject(new BadBody(400, 'BAD_REQUEST', 'The request is not valid UTF-8.'));
    });
    request.on('error', reject);
    request.on('close', () => {
      if (!request.complete) reject(new BadBody(400, 'BAD_REQUEST', 'The request ended early.'));
    });
  });
}

export function sendJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  contentType = 'application/json',
): void {
  sendText(response, status, JSON.stringify(body), contentType);
}

export function sendText(response: ServerResponse, status: number, text: string, contentType: string): void {
  if (response.writableEnded || response.destroyed) return;
  response.writeHead(status, {
    'content-type': `${contentType}; charset=utf-8`,
    'content-length': Buffer.byteLength(text),
  });
  response.end(text);
}

/** An answer in the shape of a GraphQL error. */
export function sendError(response: ServerResponse, status: number, code: string, message: string): void {
  sendJson(response, status, { errors: [{ message, extensions: { code } }] });
}
