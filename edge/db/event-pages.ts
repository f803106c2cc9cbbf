import { and, asc, eq, gt } from 'drizzle-orm';
import type { JobEvent } from '../../shared/api/jobs.ts';
import { isFinished } from '../../shared/job-state.ts';
import { batch, type Db } from './client.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import { jobEvents, jobs } from './schema.ts';

/** Most events that one poll of a stream hands on. */
const STREAM_CHUNK = 500;

type EventRow = typeof jobEvents.$inferSelect;

/** The id of a job's event: `ftevent_`, the end of its job's id, and the event's number within the job. */
export function eventId(jobId: string, number: number): string {
  return `ftevent_${jobId.slice(jobId.indexOf('_') + 1)}_${number}`;
}

/** The number within `id`, or undefined where `id` is no event of this job. */
export function eventNumber(jobId: string, id: string): number | undefined {
  const number = Number(/_([0-9]{1,15})$/.exec(id)?.[1]);
  return id === eventId(jobId, number) ? number : undefined;
}

/** A page of a job's events after the one at `last`, with one more where the list goes on. */
export async function pageOfEvents(
  db: Db,
  jobId: string,
  { last, limit, order }: Omit<Paging, 'after'> & { last: number | undefined },
): Promise<EventRow[]> {
  return db
    .select()
    .from(jobEvents)
    .where(
      and(eq(jobEvents.jobId, jobId), last === undefined ? undefined : beyond(jobEvents.number, last, order)),
    )
    .orderBy(byAge(jobEvents.number, order))
    .limit(limit + 1);
}

/** The events after the one of this number, oldest first, and whether the job has ended, read in one transaction. */
export async function eventsSince(
  db: Db,
  jobId: string,
  number: number,
): Promise<{ events: JobEvent[]; isOver: boolean }> {
  const { rows, job } = await batch(db, {
    rows: db
      .select()
      .from(jobEvents)
      .where(and(eq(jobEvents.jobId, jobId), gt(jobEvents.number, number)))
      .orderBy(asc(jobEvents.number))
      .limit(STREAM_CHUNK),
    job: db.select({ status: jobs.status }).from(jobs).where(eq(jobs.id, jobId)),
  });
  const isOver = rows.length < STREAM_CHUNK && (!job[0] || isFinished(job[0].status));
  return { events: rows.map(viewEvent), isOver };
}

/** The numbers that a job's metrics events carry, oldest first. */
export async function metricsOf(db: Db, jobId: string): Promise<Record<string, unknown>[]> {
  const rows = await db
    .select({ data: jobEvents.data })
    .from(jobEvents)
    .where(and(eq(jobEvents.jobId, jobId), eq(jobEvents.type, 'metrics')))
    .orderBy(asc(jobEvents.number));
  return rows.flatMap(({ data }) => (data === null ? [] : [data]));
}

/** The event as the API shows it. */
export function viewEvent({ jobId, number, createdAt, level, message, type, data }: EventRow): JobEvent {
  return {
    id: eventId(jobId, number),
    object: 'fine_tuning.job.event',
    created_at: createdAt,
    level,
    message,
    type,
    data,
  };
}
