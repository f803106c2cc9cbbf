import { type SQL, sql } from 'drizzle-orm';
import { type Db, statement } from './client.ts';
import { jobEvents, jobs } from './schema.ts';

interface NewEvent {
  level: 'info' | 'warn' | 'error';
  message: string;
  type?: 'message' | 'metrics';
  data?: Record<string, unknown> | null;
}

/** A statement for a batch: notes `events` for every job that `which` matches when it runs. */
export function noteEvents(db: Db, which: SQL, events: NewEvent[], now: number) {
  const rows = JSON.stringify(events.map((event) => ({ type: 'message', data: null, ...event })));
  const noted = sql`(SELECT coalesce(max(n.number), 0) FROM ${jobEvents} AS n WHERE n.job_id = ${jobs.id})`;
  return statement(
    db,
    sql`
    INSERT INTO ${jobEvents} (job_id, number, created_at, level, message, type, data)
    SELECT ${jobs.id}, e.key + 1 + ${noted}, ${now}, e.value ->> 'level', e.value ->> 'message', e.value ->> 'type', e.value -> 'data'
    FROM ${jobs}, json_each(${rows}) AS e
    WHERE ${which}
    ORDER BY e.key`,
  );
}
