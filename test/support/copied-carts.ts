import { createHash } from 'node:crypto';
import { z } from 'zod';
import { streamIdOf } from '../../src/eventsourcing/log/stream-id.ts';
import { column } from '../../src/eventsourcing/projections/read-table.ts';
import type { Database } from '../../src/platform/database.ts';

/** A long log, quickly: one real cart is copied in SQL as often as asked, with other ids. No server may run meanwhile. */

/** Copies whose events take turns in the log, as those of customers who shop at the same time do. */
const SIDE_BY_SIDE = 100;

const template = z.tuple([z.object({ stream: z.string(), length: z.number(), end: column.safeInt() })]);
const uuidOf = (text: string) => `overlay(overlay(md5(${text}) placing '4' from 13) placing '8' from 17)::uuid`;

/** The raw id of a copy, counted from 1. */
export function copiedCart(copy: number): string {
  const hex = createHash('md5').update(`cart ${copy}`).digest('hex');
  return `${hex.slice(0, 12)}4${hex.slice(13, 16)}8${hex.slice(17)}`.replace(
    /^(.{8})(.{4})(.{4})(.{4})(.{12})$/,
    '$1-$2-$3-$4-$5',
  );
}

/**
 * Copies a cart with its stream, events and row. Its commands are left out.
 * @param id the raw id of the cart
 * @param copies a multiple of 100
 * @returns how many events the log has then
 */
export async function copyCart({ log }: Database, id: string, copies: number): Promise<number> {
  const [{ stream, length, end }] = template.parse(
    await log.query(
      `SELECT max(stream_id) AS stream, count(*)::int AS length, (SELECT position FROM log_head) AS end
       FROM events WHERE stream_id = $1`,
      streamIdOf('cart', id),
    ),
  );
  const numbers = `generate_series(1, ${copies}) AS n`;
  const renamed = (name: string) => `replace(${name}, '${id}', ${uuidOf(`'cart ' || n`)}::text)`;
  const position = `${end} + ((n - 1) / ${SIDE_BY_SIDE}) * ${SIDE_BY_SIDE * length}
    + (event.version - 1) * ${SIDE_BY_SIDE} + (n - 1) % ${SIDE_BY_SIDE} + 1`;
  const run = (sql: string) => log.prisma.$executeRawUnsafe(sql);
  await run(
    `INSERT INTO streams (id, aggregate_type, aggregate_id, version)
     SELECT ${renamed('id')}, aggregate_type, ${renamed('aggregate_id')}, version
     FROM ${numbers}, streams WHERE id = '${stream}'`,
  );
  await run(
    `INSERT INTO events (position, event_id, stream_id, aggregate_type, aggregate_id, version, type, schema_version,
                         data, actor_kind, actor_id, command_id, correlation_id, causation_id, recorded_at)
     SELECT ${position} AS position, ${uuidOf(`'event ' || n || ' ' || event.version`)}, ${renamed('stream_id')},
            aggregate_type, ${renamed('aggregate_id')}, version, type, schema_version, ${renamed('data::text')}::jsonb,
            actor_kind, actor_id, command_id, correlation_id, causation_id, recorded_at
     FROM ${numbers}, events AS event WHERE stream_id = '${stream}' ORDER BY 1`,
  );
  await run(
    `INSERT INTO cart_view
     SELECT (jsonb_populate_record(cart_view, jsonb_build_object('id', ${renamed('id')}, 'position', ${position}))).*
     FROM ${numbers}, cart_view, (SELECT ${length} AS version) AS event WHERE id = '${id}'`,
  );
  const head = end + copies * length;
  await run(`UPDATE log_head SET position = ${head}`);
  await run(`UPDATE checkpoints SET position = ${head}`);
  return head;
}
