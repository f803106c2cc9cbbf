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
  return statement(
    db,
    sql`
    INSERT INTO ${jobEvents} (job_id, created_at, level, message, type, data)
    SELECT ${jobs.id}, ${now}, e.value ->> 'level', e.value ->> 'message', e.value ->> 'type', e.value -> 'data'
    FROM ${jobs}, json_each(${rows}) AS e
    WHERE ${which}
    ORDER BY e.key`,
  );
}
