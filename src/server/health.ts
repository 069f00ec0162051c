import type { ServerResponse } from 'node:http';
import type { Engine } from '../eventsourcing/engine.ts';
import type { Database } from '../platform/database.ts';
import { sendError, sendJson } from './http-body.ts';

/** Further behind than this, read tables are not fit to be asked. */
const MAX_LAG_EVENTS = 50_000;
const DATABASE_WAIT_MS = 2_000;

/** `/health/live`: the process runs. `/health/ready`: it can serve, with how far each projection is. */
export async function health(
  path: string,
  response: ServerResponse,
  parts: { engine: Engine; database: Database },
): Promise<void> {
  if (path === '/health/live') return sendJson(response, 200, { status: 'live' });
  if (path !== '/health/ready')
    return sendError(response, 404, 'NOT_FOUND', 'There are /health/live and /health/ready.');
  const { engine, database } = parts;
  const isDatabaseThere = await within(DATABASE_WAIT_MS, database.log.query('SELECT 1'));
  const projections = engine.views.map(({ projector }) => ({
    name: projector.name,
    position: engine.positions.encode(projector.position),
    lag: engine.tail.head - projector.position,
    failing: projector.failing,
  }));
  const isReady = isDatabaseThere && projections.every(({ lag, failing }) => !failing && lag <= MAX_LAG_EVENTS);
  const status = isReady ? 'ready' : 'not ready';
  sendJson(response, isReady ? 200 : 503, { status, engine: database.engine, database: isDatabaseThere, projections });
}

async function within(milliseconds: number, work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), milliseconds);
  });
  const done = work.then(
    () => true,
    () => false,
  );
  return Promise.race([done, late]).finally(() => clearTimeout(timer));
}
