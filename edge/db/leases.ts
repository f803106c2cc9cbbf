import { and, eq, inArray, lte, type SQL, sql } from 'drizzle-orm';
import type { Heartbeat, LeaseState, ServingState } from '../../shared/api/nodes.ts';
import { type JobStatus, LEASE_SECONDS, MAX_ATTEMPTS } from '../../shared/job-state.ts';
import { changesAfter, servingState } from './changes.ts';
import { batch, type Db } from './client.ts';
import { noteEvents } from './job-events.ts';
import type { JobRow } from './jobs.ts';
import { fairQueue, trainableBy } from './queue.ts';
import { deletions, jobs, nodes } from './schema.ts';
import { beatTasks, type TaskRow } from './tasks.ts';

const MAX_DELETIONS = 1000;
/** `last_seen` may be this old before it is written again: with the serving lease it stays below `NODE_TTL_SECONDS`. */
const SEEN_SECONDS = 4;

/** Matches the job while exactly this lease holds. */
export function leased(id: string, token: string): SQL {
  return and(eq(jobs.id, id), eq(jobs.leaseToken, token), eq(jobs.status, 'running'))!;
}

export interface Beat {
  known: boolean;
  states: { job_id: string; state: LeaseState }[];
  lease: JobRow | undefined;
  taskStates: { task_id: string; state: LeaseState }[];
  taskLease: TaskRow | undefined;
  deleted: { seq: number; bundle: string }[];
  serving: ServingState;
}

/**
 * Handles a node's heartbeat as one transaction: the node is alive, its leases are extended, and lapsed ones go back to the queue. A node
 * that wants a job gets the next one in fair order that it can train, leased under `token`, and the same of a task.
 */
export async function beat(
  db: Db,
  nodeId: string,
  body: Heartbeat,
  token: string,
  now: number,
): Promise<Beat> {
  const ids = body.jobs.map((job) => job.job_id);
  const { known, held, ends, changes, deleted, lease, heldTasks, taskLease } = await batch(db, {
    seen: db
      .update(nodes)
      .set({ lastSeen: now, ...(body.load && { load: body.load }) })
      .where(and(eq(nodes.id, nodeId), lte(nodes.lastSeen, now - SEEN_SECONDS))),
    known: db.select({ id: nodes.id }).from(nodes).where(eq(nodes.id, nodeId)),
    held: db
      .select({ id: jobs.id, status: jobs.status, token: jobs.leaseToken })
      .from(jobs)
      .where(inArray(jobs.id, ids)),
    ...changesAfter(db, body.changes_after),
    deleted: db
      .select({ seq: deletions.seq, bundle: deletions.bundle })
      .from(deletions)
      .where(sql`${deletions.seq} > ${body.deletions_after}`)
      .orderBy(deletions.seq)
      .limit(MAX_DELETIONS),
    extended: body.jobs.flatMap((job) => extendLease(db, job, now)),
    ...(body.wants_job && {
      ...requeueLost(db, lapsedOrForgotten(nodeId, ids, now), now),
      ...takeJob(db, nodeId, token, now),
    }),
    ...beatTasks(db, nodeId, { running: body.tasks, wants: body.wants_task }, token, now),
  });
  const states = body.jobs.map(({ job_id, token: shown }) => ({
    job_id,
    state: stateOf(held, job_id, shown),
  }));
  const taskStates = body.tasks.map(({ task_id, token: shown }) => ({
    task_id,
    state: stateOf(heldTasks ?? [], task_id, shown),
  }));
  const serving = servingState(body.changes_after, ends[0]!, changes);
  return {
    known: known.length > 0,
    states,
    lease: lease?.[0],
    taskStates,
    taskLease: taskLease?.[0],
    deleted,
    serving,
  };
}

interface Held {
  id: string;
  status: JobStatus;
  token: string | null;
}

function stateOf(held: readonly Held[], id: string, token: string): LeaseState {
  const row = held.find((one) => one.id === id);
  if (row?.status === 'running' && row.token === token) return 'ok';
  return row?.status === 'cancelled' ? 'cancelled' : 'lost';
}

function extendLease(db: Db, job: Heartbeat['jobs'][number], now: number) {
  const mine = leased(job.job_id, job.token);
  const resolved = job.resolved && JSON.stringify(job.resolved);
  const extend = db
    .update(jobs)
    .set({
      leaseUntil: now + LEASE_SECONDS,
      ...(job.progress && { progress: job.progress }),
      // The first attempt's decision stays.
      ...(resolved && { resolved: sql`coalesce(${jobs.resolved}, ${resolved})` }),
    })
    .where(mine);
  return job.events.length > 0 ? [extend, noteEvents(db, mine, job.events, now)] : [extend];
}

/** Matches leases that ran out, and leases that their node no longer lists: it has been restarted. */
function lapsedOrForgotten(nodeId: string, held: string[], now: number): SQL {
  return sql`${jobs.status} = 'running' AND (${jobs.leaseUntil} < ${now}
    OR (${jobs.nodeId} = ${nodeId} AND ${jobs.id} NOT IN (SELECT value FROM json_each(${JSON.stringify(held)}))))`;
}

/** Statements for a batch: these jobs have lost an attempt, and a job that has lost its last one fails. */
function requeueLost(db: Db, which: SQL, now: number) {
  const error = {
    code: 'lease_lapsed',
    message: `The node stopped answering in each of ${MAX_ATTEMPTS} attempts.`,
  };
  const lost = { level: 'warn' as const, message: 'The node stopped answering; this attempt is lost.' };
  return {
    losses: noteEvents(db, which, [lost], now),
    requeued: endAttempt(db, which, { error, failures: 1, retry: true }, now),
  };
}

interface AttemptEnd {
  /** The job's error if it fails for good. */
  error: { code: string; message: string };
  failures: 0 | 1;
  retry: boolean;
}

/** A statement for a batch: the job goes back to the queue, or fails where no attempt is left. */
export function endAttempt(db: Db, which: SQL, { error, failures, retry }: AttemptEnd, now: number) {
  const over = retry ? sql`${jobs.failures} + ${failures} >= ${MAX_ATTEMPTS}` : sql`1`;
  return db
    .update(jobs)
    .set({
      status: sql`CASE WHEN ${over} THEN 'failed' ELSE 'queued' END`,
      failures: sql`${jobs.failures} + ${failures}`,
      error: sql`CASE WHEN ${over} THEN ${JSON.stringify(error)} END`,
      finishedAt: sql`CASE WHEN ${over} THEN ${now} END`,
      // A failed job keeps its token, so that reporting the failure twice is safe.
      leaseToken: sql`CASE WHEN ${over} THEN ${jobs.leaseToken} END`,
      leaseUntil: null,
      progress: sql`CASE WHEN ${over} THEN ${jobs.progress} END`,
    })
    .where(which)
    .returning({ id: jobs.id, status: jobs.status });
}

/** Statements that lease a job, for a batch; `lease` returns it if there is one. */
function takeJob(db: Db, nodeId: string, token: string, now: number) {
  const next = sql`(SELECT seq FROM ${fairQueue(trainableBy([nodeId]), now)} LIMIT 1)`;
  const lease = db
    .update(jobs)
    .set({
      status: 'running',
      attempt: sql`${jobs.attempt} + 1`,
      leaseToken: token,
      leaseUntil: now + LEASE_SECONDS,
      nodeId,
      leasedAt: now,
      startedAt: sql`coalesce(${jobs.startedAt}, ${now})`,
    })
    .where(sql`${jobs.seq} = ${next}`)
    .returning();
  const taken = sql`${jobs.status} = 'running' AND ${jobs.leaseToken} = ${token}`;
  const event = { level: 'info' as const, message: 'A node has taken the job.' };
  return { lease, taken: noteEvents(db, taken, [event], now) };
}

/** Puts lapsed leases back into the queue. The cron does it because heartbeats do it only where a node wants a job. */
export async function requeueLapsed(db: Db, now: number): Promise<void> {
  const lapsed = sql`${jobs.status} = 'running' AND ${jobs.leaseUntil} < ${now}`;
  await batch(db, requeueLost(db, lapsed, now));
}
