import { type Database, type DatabaseSettings, openDatabase } from '../../src/platform/database.ts';
import { answer } from '../harness/remote.ts';

// Makes a long log quickly: copies one real cart, made through the API, as often as asked, with other ids: its stream,
// events, commands and view. So it knows nothing of what an event holds. The server must not run meanwhile.

export interface Fill {
  settings: DatabaseSettings;
  /** The cart to copy. */
  template: string;
  copies: number;
}

export type FillMethods = typeof methods;

/** Copies whose events take turns in the log, as those of customers who shop at the same time do. */
const SIDE_BY_SIDE = 100;
const COPIES_PER_STATEMENT = 10_000;

const methods = {
  /** @returns events in the log */
  async fill({ settings, template, copies }: Fill): Promise<number> {
    const database = await openDatabase(settings);
    try {
      const cart = await readTemplate(database, template);
      const restoreIndexes = await dropIndexes(database);
      for (let from = 1; from <= copies; from += COPIES_PER_STATEMENT) {
        await copy(database, cart, from, Math.min(copies, from + COPIES_PER_STATEMENT - 1));
      }
      await restoreIndexes();
      // What a store that grew slowly has had: fresh statistics, no dirty pages waiting to be written.
      await database.log.prisma.$executeRawUnsafe('VACUUM ANALYZE');
      // Only a superuser may ask a server for the latter.
      await database.log.prisma.$executeRawUnsafe('CHECKPOINT').catch(() => {});
      const [head] = await database.log.query('SELECT position::float8 AS position FROM log_head');
      return (head as { position: number }).position;
    } finally {
      await database.close();
    }
  },
};

// The same as in copied-cart.ts.
const uuidOf = (text: string) => `overlay(overlay(md5(${text}) placing '4' from 13) placing '8' from 17)::uuid`;
const CART = uuidOf(`'cart ' || n`);
const EVENT = uuidOf(`'event ' || n || ' ' || event.version`);
const COMMAND = uuidOf(`'command ' || n || ' ' || event.version`);

interface Template {
  id: string;
  stream: string;
  events: number;
  /** The log's end before the first copy. */
  end: number;
}

async function readTemplate({ log }: Database, id: string): Promise<Template> {
  const [row] = await log.query(
    `SELECT max(stream_id) AS stream, count(*)::int AS events, (SELECT position::float8 FROM log_head) AS end
     FROM events WHERE aggregate_id = '${id}' AND aggregate_type = 'cart'`,
  );
  return { id, ...(row as Omit<Template, 'id'>) };
}

/** Built at once, the indexes of a long log take less time. @returns makes them again */
async function dropIndexes({ log }: Database): Promise<() => Promise<void>> {
  const indexes = (await log.query(
    `SELECT indexname::text AS name, indexdef AS definition FROM pg_indexes
     WHERE tablename IN ('events', 'commands', 'cart_view') AND schemaname = current_schema()
       AND indexname NOT IN (SELECT conname FROM pg_constraint)`,
  )) as { name: string; definition: string }[];
  for (const { name } of indexes) await log.prisma.$executeRawUnsafe(`DROP INDEX "${name}"`);
  return async () => {
    for (const { definition } of indexes) await log.prisma.$executeRawUnsafe(definition);
  };
}

async function copy({ log }: Database, template: Template, from: number, to: number): Promise<void> {
  const run = (sql: string) => log.prisma.$executeRawUnsafe(sql);
  const { id, stream, events: length, end } = template;
  const head = end + (from - 1) * length;
  const numbers = `generate_series(${from}, ${to}) AS n`;
  const position =
    `${head} + ((n - ${from}) / ${SIDE_BY_SIDE}) * ${SIDE_BY_SIDE * length} ` +
    `+ (event.version - 1) * least(${SIDE_BY_SIDE}, ${to - from + 1} - ((n - ${from}) / ${SIDE_BY_SIDE}) * ${SIDE_BY_SIDE}) ` +
    `+ (n - ${from}) % ${SIDE_BY_SIDE} + 1`;
  const renamed = (column: string) => `replace(${column}, '${id}', ${CART}::text)`;

  await run(
    `INSERT INTO streams (id, aggregate_type, aggregate_id, version)
     SELECT ${renamed('id')}, aggregate_type, ${renamed('aggregate_id')}, version
     FROM ${numbers}, streams WHERE id = '${stream}'`,
  );
  await run(
    `INSERT INTO events (position, event_id, stream_id, aggregate_type, aggregate_id, version, type, schema_version,
                         data, actor_kind, actor_id, command_id, correlation_id, causation_id, recorded_at)
     SELECT ${position} AS position, ${EVENT}, ${renamed('stream_id')}, aggregate_type, ${renamed('aggregate_id')},
            version, type, schema_version, ${renamed('data::text')}::jsonb, actor_kind, actor_id,
            CASE WHEN command_id IS NULL THEN NULL ELSE ${COMMAND} END, correlation_id, causation_id, recorded_at
     FROM ${numbers}, events AS event WHERE stream_id = '${stream}' AND event.position <= ${end} ORDER BY 1`,
  );
  await run(
    `INSERT INTO commands (command_id, name, aggregate_type, aggregate_id, input, fingerprint, actor_kind, actor_id,
                           status, attempts, rejection, version, first_position, event_count, position, correlation_id,
                           causation_id, submitted_at, finished_at)
     SELECT ${COMMAND}, name, command.aggregate_type, ${renamed('command.aggregate_id')},
            ${renamed('input::text')}::jsonb, fingerprint, command.actor_kind, command.actor_id, status, attempts,
            rejection, command.version, ${position}, 1, ${position}, command.correlation_id, command.causation_id,
            submitted_at, finished_at
     FROM ${numbers}, events AS event JOIN commands AS command USING (command_id)
     WHERE event.stream_id = '${stream}' AND event.position <= ${end}`,
  );
  await run(
    `INSERT INTO cart_view (id, status, currency, customer_id, lines, version, position, created_at, updated_at)
     SELECT ${renamed('id')}, status, currency, customer_id, ${renamed('lines::text')}::jsonb, cart_view.version,
            ${position}, created_at, updated_at
     FROM ${numbers}, cart_view, (SELECT ${length} AS version) AS event WHERE id = '${id}'`,
  );
  const newHead = head + (to - from + 1) * length;
  await run(`UPDATE log_head SET position = ${newHead}`);
  await run(`UPDATE checkpoints SET position = ${newHead}`);
}

answer(methods);
