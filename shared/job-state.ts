import { z } from 'zod';

/** States of a training job, in the words of OpenAI's fine-tuning API. */
export const JOB_STATUSES = ['queued', 'running', 'paused', 'succeeded', 'failed', 'cancelled'] as const;
export const jobStatus = z.enum(JOB_STATUSES);
export type JobStatus = z.infer<typeof jobStatus>;

/** States of a job that may still give an adapter. A paused one waits until it is resumed. */
export const UNFINISHED: readonly JobStatus[] = ['queued', 'running', 'paused'];

/** States of an adapter; each follows from its job's. */
export const ADAPTER_STATUSES = ['queued', 'training', 'paused', 'ready', 'failed', 'cancelled'] as const;
export const adapterStatus = z.enum(ADAPTER_STATUSES);
export type AdapterStatus = z.infer<typeof adapterStatus>;

/** An adapter's status for each state of its job. */
export const ADAPTER_STATUS_OF_JOB: Readonly<Record<JobStatus, AdapterStatus>> = {
  queued: 'queued',
  running: 'training',
  paused: 'paused',
  succeeded: 'ready',
  failed: 'failed',
  cancelled: 'cancelled',
};

/** True if a job's state is final. */
export function isFinished(status: JobStatus): boolean {
  return !UNFINISHED.includes(status);
}

/** Attempts after which a job fails whose lease keeps lapsing. */
export const MAX_ATTEMPTS = 3;
/** Seconds that a lease lives without a heartbeat. */
export const LEASE_SECONDS = 30;
/** Seconds between a node's heartbeats; a node silent for `NODE_TTL_SECONDS` gets no traffic. */
export const HEARTBEAT_SECONDS = 2;
export const NODE_TTL_SECONDS = 15;
/** Seconds for which a node may answer classifications, counted from sending a heartbeat that was answered. */
export const SERVING_LEASE_SECONDS = 10;
