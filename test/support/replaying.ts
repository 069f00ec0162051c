import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { ReplayReport } from '../../src/cli/replay/report.ts';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));

/** Runs the command as a user does. */
export async function replay(...parameters: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, 'replay', ...parameters], { stdio: ['ignore', 'pipe', 'pipe'] });
  const [[code], stdout, stderr] = await Promise.all([once(child, 'exit'), text(child.stdout), text(child.stderr)]);
  return { code, stdout, stderr };
}

/** @returns the report, and the exit code */
export async function replayJson(...parameters: string[]): Promise<{ code: unknown; report: ReplayReport }> {
  const { code, stdout, stderr } = await replay(...parameters, '--json');
  expect(stderr).toBe('');
  const report: ReplayReport = JSON.parse(stdout);
  return { code, report };
}

/** A CSV file that is there until the test has finished. */
export function csvFile(lines: readonly string[], header = 'InvoiceNo,StockCode,Description,Quantity'): string {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-replay-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'invoices.csv');
  writeFileSync(file, [header, ...lines].join('\r\n'));
  return file;
}

const graphqlRequest = z.object({
  query: z.string(),
  variables: z.object({ input: z.object({ quantity: z.number().optional() }).optional() }).default({}),
});
/** What is answered to a request. */
export type Reply = { readonly status: number; readonly body: string };

/**
 * A proxy with a will of its own, until the test has finished.
 * @param handle `forward` passes on what was sent, or something instead
 * @returns its address
 */
export async function standBetween(
  url: string,
  handle: (
    request: z.output<typeof graphqlRequest>,
    forward: (instead?: string) => Promise<Reply>,
    sent: string,
  ) => Promise<Reply | 'lost'>,
): Promise<string> {
  const proxy = createServer((request, response) => {
    void (async () => {
      const sent = await text(request);
      const forward = async (body = sent) => {
        const headers = { 'content-type': 'application/json' };
        const answer = await fetch(url, { method: 'POST', headers, body });
        return { status: answer.status, body: await answer.text() };
      };
      const reply = await handle(graphqlRequest.parse(JSON.parse(sent)), forward, sent);
      if (reply === 'lost') response.destroy();
      else response.writeHead(reply.status, { 'content-type': 'application/json' }).end(reply.body);
    })();
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  const { port } = z.object({ port: z.number() }).parse(proxy.address());
  return `http://127.0.0.1:${port}/graphql`;
}

/** An answer that says that something went wrong. */
export function faultBody(code: string): string {
  return JSON.stringify({ data: null, errors: [{ message: 'Something is wrong.', extensions: { code } }] });
}
