import { and, asc, eq, gt } from 'drizzle-orm';
import type { JobEvent } from '../../shared/api/jobs.ts';
import { isFinished } from '../../shared/job-state.ts';
import type { Db } from './client.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import { jobEvents, jobs } from './schema.ts';

/** A stream's poll hands on this many events at most. */
const STREAM_CHUNK = 500;

type EventRow = typeof jobEvents.$inferSelect;

/** The number in an event's id; undefined where it is no such id. */
export function eventSeq(id: string): number | undefined {
  const digits = /^ftevent_([0-9]{1,15})$/.exec(id)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** A page of a job's events after the one at `last`, and one more where there are more. */
export async function pageOfEvents(
  db: Db,
  jobId: string,
  { last, limit, order }: Omit<Paging, 'after'> & { last: number | undefined },
): Promise<EventRow[]> {
  return db
    .select()
    .from(jobEvents)
    .where(
      and(eq(jobEvents.jobId, jobId), last === undefined ? undefined : beyond(jobEvents.seq, last, order)),
    )
    .orderBy(byAge(jobEvents.seq, order))
    .limit(limit + 1);
}

/** The events after `seq`, oldest first, and whether these were the last, read in one transaction. */
export async function eventsSince(
  db: Db,
  jobId: string,
  seq: number,
): Promise<{ events: JobEvent[]; isOver: boolean }> {
  const [rows, [job]] = await db.batch([
    db
      .select()
      .from(jobEvents)
      .where(and(eq(jobEvents.jobId, jobId), gt(jobEvents.seq, seq)))
      .orderBy(asc(jobEvents.seq))
      .limit(STREAM_CHUNK),
    db.select({ status: jobs.status }).from(jobs).where(eq(jobs.id, jobId)),
  ]);
  const isOver = rows.length < STREAM_CHUNK && (!job || isFinished(job.status));
  return { events: rows.map(viewEvent), isOver };
}

/** What a client sees of an event. */
export function viewEvent({ seq, createdAt, level, message, type, data }: EventRow): JobEvent {
  return {
    id: `ftevent_${seq}`,
    object: 'fine_tuning.job.event',
    created_at: createdAt,
    level,
    message,
    type,
    data,
  };
}
