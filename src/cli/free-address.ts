import { createServer } from 'node:net';

/**
 * Finds out whether this process could listen there, before it begins what would be for nothing otherwise. Somebody else
 * may still take the port meanwhile.
 * @throws the error of listening
 */
export async function expectFree(host: string, port: number): Promise<void> {
  const probe = createServer();
  await new Promise<void>((resolve, reject) => {
    probe.once('error', reject).listen({ host, port, exclusive: true }, resolve);
  });
  await new Promise<void>((resolve) => probe.close(() => resolve()));
}
