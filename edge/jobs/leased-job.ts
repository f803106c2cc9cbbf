import { AppError } from '../../shared/errors.ts';
import type { Db } from '../db/client.ts';
import { findAnyJob, type JobRow } from '../db/jobs.ts';

/** The job, if it runs and `token` is its lease. @throws {AppError} `job_not_found`, `lease_lost` */
export async function leasedJob(db: Db, id: string, token: string): Promise<JobRow> {
  const job = await findJobOfToken(db, id, token);
  if (job.status !== 'running') throw leaseLost(id);
  return job;
}

/**
 * The job, running or not, if `token` is its last lease and it was not cancelled meanwhile.
 * @throws {AppError} `job_not_found`, `lease_lost`
 */
export async function heldJob(db: Db, id: string, token: string): Promise<JobRow> {
  const job = await findJobOfToken(db, id, token);
  if (job.status === 'cancelled') throw leaseLost(id);
  return job;
}

async function findJobOfToken(db: Db, id: string, token: string): Promise<JobRow> {
  const job = await findAnyJob(db, id);
  if (!job) throw new AppError('job_not_found', `There is no job ${id}.`);
  if (job.leaseToken !== token) throw leaseLost(id);
  return job;
}

export function leaseLost(id: string): AppError {
  return new AppError('lease_lost', `The lease of job ${id} is not yours any more; stop working on it.`);
}
