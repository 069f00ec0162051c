import { randomUUID } from 'node:crypto';
import type { ExecutionResult } from 'graphql';
import { WebSocket } from 'ws';

/**
 * One serialisation of a result that many subscribers get. graphql-ws puts each result into a message and serialises
 * that; there the result stands as a short mark, which the socket replaces by the text that was made once. The mark
 * begins with a secret of this process, so nothing that a client sends can look like one.
 */
const MARK = `live-${randomUUID()}-`;
const texts = new Map<string, string>();
let marks = 0;

/** A result that is serialised once, however often it is sent. Yoga calls `stringify`, JSON.stringify `toJSON`. */
export function sharePayload(result: ExecutionResult): ExecutionResult {
  let text: string | undefined;
  const stringify = () => {
    text ??= JSON.stringify(result);
    return text;
  };
  const toJSON = () => {
    marks += 1;
    const mark = `${MARK}${marks}`;
    texts.set(mark, stringify());
    // The send follows in the same turn, or never.
    queueMicrotask(() => texts.delete(mark));
    return mark;
  };
  return Object.assign({ ...result }, { stringify, toJSON });
}

/** The message with the result's text in place of its mark. */
export function expandPayload(message: string): string {
  const start = message.lastIndexOf(MARK);
  if (start < 0) return message;
  const end = message.indexOf('"', start);
  const mark = message.slice(start, end);
  const text = texts.get(mark);
  if (text === undefined) return message;
  return `${message.slice(0, start - 1)}${text}${message.slice(end + 1)}`;
}

const MAX_UNREAD_BYTES = 16 * 1024 * 1024;

/** A socket that sends shared results. */
export class LiveSocket extends WebSocket {
  override send(...parameters: unknown[]): void {
    // Answers to pings are not waited for: whoever asks and never reads would fill the memory with them.
    if (this.bufferedAmount > MAX_UNREAD_BYTES) {
      this.terminate();
      return;
    }
    const [data, ...rest] = parameters;
    const expanded = typeof data === 'string' ? expandPayload(data) : data;
    Reflect.apply(WebSocket.prototype.send, this, [expanded, ...rest]);
  }

  override pong(...parameters: Parameters<WebSocket['pong']>): void {
    if (this.bufferedAmount > MAX_UNREAD_BYTES) this.terminate();
    else super.pong(...parameters);
  }
}
