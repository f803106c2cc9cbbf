import { and, eq, getTableColumns, type SQL, sql } from 'drizzle-orm';
import type { Job, Tuning } from '../../shared/api/jobs.ts';
import { LEASE_SECONDS } from '../../shared/job-state.ts';
import { formatOf } from '../../shared/methods/index.ts';
import { batch, type Db } from './client.ts';
import { noteEvents } from './job-events.ts';
import { unlessLong } from './listed.ts';
import { beyond, byAge, type Paging } from './paging.ts';
import type { QueuePlace } from './queue.ts';
import { jobs } from './schema.ts';
import { unfinished } from './unfinished.ts';
import { placeOf } from './vacancies.ts';

export type JobRow = typeof jobs.$inferSelect;

/** The columns that a list shows of a job: labels are left out, and class weights where they are many. */
export const listedJobs = {
  ...getTableColumns(jobs),
  hyperparameters: unlessLong(jobs.hyperparameters, sql`'{}'`),
  resolved: unlessLong(jobs.resolved, sql`json_remove(${jobs.resolved}, '$.hyperparameters', '$.labels')`),
};

/** Finds a tenant's job. */
export async function findJob(db: Db, tenant: string, id: string): Promise<JobRow | undefined> {
  const rows = await db
    .select()
    .from(jobs)
    .where(and(eq(jobs.id, id), eq(jobs.tenant, tenant)));
  return rows[0];
}

/** Finds any tenant's job: nodes prove by their lease that they may act on it. */
export async function findAnyJob(db: Db, id: string): Promise<JobRow | undefined> {
  const rows = await db.select().from(jobs).where(eq(jobs.id, id));
  return rows[0];
}

export interface JobFilter extends Paging {
  /** Pairs that the job's metadata must contain. */
  metadata: Readonly<Record<string, string>> | undefined;
}

/** A page of jobs, with one more where the list goes on. Returns undefined where `after` is no job. */
export async function pageOfJobs(
  db: Db,
  tenant: string,
  { after, limit, order, metadata = {} }: JobFilter,
): Promise<JobRow[] | undefined> {
  let rest: SQL | undefined;
  if (after !== undefined) {
    const standing = sql`SELECT seq FROM ${jobs} WHERE id = ${after} AND tenant = ${tenant}`;
    const last = await placeOf(db, tenant, after, standing);
    if (last === undefined) return undefined;
    rest = beyond(jobs.seq, last, order);
  }
  return db
    .select(listedJobs)
    .from(jobs)
    .where(and(eq(jobs.tenant, tenant), rest, ...Object.entries(metadata).map(noted)))
    .orderBy(byAge(jobs.seq, order))
    .limit(limit + 1);
}

/** Matches jobs whose metadata has this pair. */
function noted([key, value]: [string, string]): SQL {
  return sql`EXISTS (SELECT 1 FROM json_each(${jobs.metadata}) AS m WHERE m.key = ${key} AND m.value = ${value})`;
}

/** Cancels a job that has not ended. Returns whether it was cancelled. */
export async function cancelJob(db: Db, tenant: string, id: string, now: number): Promise<boolean> {
  const open = sql`${jobs.id} = ${id} AND ${jobs.tenant} = ${tenant} AND ${jobs.status} IN (${unfinished})`;
  const { cancelled } = await batch(db, {
    event: noteEvents(db, open, [{ level: 'info', message: 'The job was cancelled.' }], now),
    cancelled: db
      .update(jobs)
      .set({ status: 'cancelled', finishedAt: now, leaseUntil: null })
      .where(open)
      .returning({ id: jobs.id }),
  });
  return cancelled.length > 0;
}

/** The job as the API shows it; `place` is its place in the queue while it waits. */
export function viewJob(job: JobRow, place?: QueuePlace): Job {
  const adapter = `${job.adapterName}@${job.adapterVersion}`;
  const hyperparameters = viewTuning(job);
  return {
    id: job.id,
    object: 'fine_tuning.job',
    model: job.parent?.adapter ?? job.baseModel,
    organization_id: job.tenant,
    method: { type: 'supervised', supervised: { hyperparameters } },
    hyperparameters,
    user_provided_suffix: job.adapterName,
    integrations: [],
    metadata: job.metadata,
    result_files: job.resultFile === null ? [] : [job.resultFile],
    estimated_finish: estimatedFinish(job),
    fine_tuned_model: job.status === 'succeeded' ? adapter : null,
    adapter,
    status: job.status,
    position: place?.position ?? null,
    estimated_start: place?.estimatedStart ?? null,
    training_file: job.trainingFile,
    validation_file: job.validationFile,
    trained_tokens: job.trainedTokens,
    progress: job.progress,
    attempt: job.attempt,
    error: job.error && { ...job.error, param: null },
    seed: job.seed,
    created_at: job.createdAt,
    started_at: job.startedAt,
    finished_at: job.finishedAt,
  };
}

/** Hyperparameters by OpenAI's names: as resolved, or as asked for until then. */
function viewTuning({ method, hyperparameters, resolved }: JobRow): Tuning {
  // A list may leave out what is long.
  const {
    epochs = 'auto',
    batch_size = 'auto',
    learning_rate = 'auto',
  } = resolved?.hyperparameters ?? hyperparameters;
  const { type } = resolved?.method ?? method;
  const multiplier = learning_rate === 'auto' ? 'auto' : learning_rate / formatOf(type).learningRate;
  // Six digits hide what the division adds.
  const rounded = multiplier === 'auto' ? multiplier : Number(multiplier.toPrecision(6));
  return { n_epochs: epochs, batch_size, learning_rate_multiplier: rounded };
}

/** When the job ends as its node predicted in its last heartbeat. */
function estimatedFinish({ status, leaseUntil, progress }: JobRow): number | null {
  if (status !== 'running' || leaseUntil === null || progress?.eta_seconds == null) return null;
  return leaseUntil - LEASE_SECONDS + Math.ceil(progress.eta_seconds);
}
