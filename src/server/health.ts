import type { ServerResponse } from 'node:http';
import type { Engine } from '../eventsourcing/engine.ts';
import type { ReadAudit } from '../eventsourcing/reads/read-audit.ts';
import type { Database } from '../platform/database.ts';
import { sendError, sendJson } from './http-body.ts';
import type { OutsideParties } from './outside-parties.ts';

/** Further behind than this, read tables are not fit to be asked. */
const MAX_LAG_EVENTS = 50_000;
const DATABASE_WAIT_MS = 2_000;

/** `/health/live`: the process runs. `/health/ready`: it can serve, with how far each projection is. */
export async function health(
  path: string,
  response: ServerResponse,
  parts: { engine: Engine; database: Database; outside: OutsideParties; readAudit: ReadAudit },
): Promise<void> {
  if (path === '/health/live') return sendJson(response, 200, { status: 'live' });
  if (path !== '/health/ready')
    return sendError(response, 404, 'NOT_FOUND', 'There are /health/live and /health/ready.');
  const { engine, database, outside, readAudit } = parts;
  const store = await within(DATABASE_WAIT_MS, engine.store.read());
  const isDatabaseThere = store !== undefined;
  const followers = engine.followers.map(({ task, position, failing, isOwner, parking }) => ({
    name: task.name,
    position: engine.positions.encode(position),
    lag: engine.tail.head - position,
    failing,
    /** This process is the one at work; otherwise another is, and this one watches it. */
    active: isOwner,
    /** Rows or streams that wait behind a dead letter. */
    parked: parking.size,
  }));
  const isReady = isDatabaseThere && followers.every(({ lag, failing }) => !failing && lag <= MAX_LAG_EVENTS);
  const status = isReady ? 'ready' : 'not ready';
  // It serves while it is paused: commands run, and what is queued waits.
  // Whoever is outside may be down: the shop goes on, and what was to be asked of them waits.
  const parties = outside.parties.map((party) => party.state());
  const paused = store?.pausedAt == null ? null : { since: store.pausedAt, reason: store.pauseReason };
  // How far the log is sealed. Where it cannot be, somebody has to look into it; the shop goes on.
  const { position, problem } = engine.sealer.state;
  const seals = { position: engine.positions.encode(position), lag: engine.tail.head - position, problem };
  const shown = {
    ...{ status, engine: database.engine, database: isDatabaseThere, paused, followers, seals, outside: parties },
    reads: readAudit.state,
  };
  sendJson(response, isReady ? 200 : 503, shown);
}

/** @returns undefined where it fails, or takes longer */
async function within<Result>(milliseconds: number, work: Promise<Result>): Promise<Result | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), milliseconds);
  });
  return Promise.race([work.catch(() => undefined), late]).finally(() => clearTimeout(timer));
}
