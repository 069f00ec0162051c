import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { DatabaseSettings } from '../../src/platform/database.ts';
import type { PostgresServer } from './postgres.ts';

const folders = new Set<string>();
process.on('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** An engine on which rows are measured. */
export interface EngineUnderTest {
  name: DatabaseSettings['engine'];
  durable: boolean;
  createStore(): Promise<Store>;
}

/** A fresh, empty database or folder. */
export interface Store {
  settings: DatabaseSettings;
  /** What a server needs in its environment to use it. */
  environment: Record<string, string>;
  remove(): Promise<void>;
}

export function pgliteEngine(): EngineUnderTest {
  return {
    name: 'pglite',
    durable: false,
    async createStore() {
      const folder = temporaryFolder();
      return {
        settings: { engine: 'pglite', folder },
        environment: { DATA_DIR: folder },
        remove: async () => removeFolder(folder),
      };
    },
  };
}

export function postgresEngine(server: PostgresServer): EngineUnderTest {
  return {
    name: 'postgresql',
    durable: server.durable,
    async createStore() {
      const database = await server.createDatabase();
      const folder = temporaryFolder();
      return {
        settings: { engine: 'postgresql', url: database.url },
        environment: { DATA_DIR: folder, DATABASE_URL: database.url },
        async remove() {
          removeFolder(folder);
          await database.drop();
        },
      };
    },
  };
}

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'cartstream-bench-'));
  folders.add(folder);
  return folder;
}

function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}
