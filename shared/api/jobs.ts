import { z } from 'zod';
import { jobStatus } from '../job-state.ts';
import { adapterRef, fileId, jobId, metadata, pageQuery, unixSeconds } from './common.ts';

/** Progress of a running job. Rates count real tokens, without padding. */
export const progress = z.object({
  step: z.int().nonnegative(),
  steps: z.int().nonnegative(),
  epoch: z.number().nonnegative(),
  loss: z.number().nullable(),
  tokens_per_second: z.number().nonnegative(),
  eta_seconds: z.number().nonnegative().nullable(),
});
export type Progress = z.infer<typeof progress>;

export const jobError = z.object({ code: z.string(), message: z.string() });

/** A training job, in the shape of OpenAI's fine-tuning jobs. */
export const job = z.object({
  id: jobId,
  object: z.literal('fine_tuning.job'),
  model: z.string(),
  fine_tuned_model: adapterRef.nullable(),
  adapter: adapterRef,
  status: jobStatus,
  /** Place among the jobs that wait for the same nodes, from 1; null unless the job is queued. */
  position: z.int().positive().nullable(),
  /** Predicted Unix second when a node takes the job; null unless the job is queued. */
  estimated_start: unixSeconds.nullable(),
  training_file: fileId.nullable(),
  validation_file: fileId.nullable(),
  trained_tokens: z.int().nullable(),
  progress: progress.nullable(),
  attempt: z.int(),
  error: jobError.nullable(),
  seed: z.int(),
  created_at: unixSeconds,
  started_at: unixSeconds.nullable(),
  finished_at: unixSeconds.nullable(),
});
export type Job = z.infer<typeof job>;

/** Query of a list of jobs. It may narrow the list by the training's metadata: `metadata[team]=mail`, once per pair. */
export const listJobsQuery = z.transform(nestMetadata).pipe(
  pageQuery.extend({
    metadata: metadata.optional().meta({ param: { style: 'deepObject', explode: true } }),
  }),
);

/** Turns `{ 'metadata[team]': 'mail' }` into `{ metadata: { team: 'mail' } }`; other parameters stay as they are. */
function nestMetadata(query: unknown): unknown {
  const entries = Object.entries(query as Record<string, unknown>);
  const keyOf = (name: string) => /^metadata\[(.*)\]$/s.exec(name)?.[1];
  const pairs = entries.flatMap(([name, value]) => {
    const key = keyOf(name);
    return key === undefined ? [] : [[key, value]];
  });
  const rest = entries.filter(([name]) => keyOf(name) === undefined);
  return Object.fromEntries(pairs.length === 0 ? rest : [...rest, ['metadata', Object.fromEntries(pairs)]]);
}

export const eventLevel = z.enum(['info', 'warn', 'error']);

/** Warnings about its dataset that a job's events may give, in `data.warning`. */
export const DATASET_WARNINGS = [
  'truncated_texts',
  'no_validation',
  'few_validation_rows',
  'missing_validation_labels',
  'validation_rows_in_training',
  'contradicting_labels',
  'similar_labels',
] as const;
export type DatasetWarning = (typeof DATASET_WARNINGS)[number];

/**
 * Something that happened to a job. `data` carries numbers that a client may plot: step, loss, validation metrics. A remark on the dataset
 * carries one of `DATASET_WARNINGS` as `warning`, with its counts.
 */
export const jobEvent = z.object({
  id: z.string(),
  object: z.literal('fine_tuning.job.event'),
  created_at: unixSeconds,
  level: eventLevel,
  message: z.string(),
  type: z.enum(['message', 'metrics']),
  data: z.record(z.string(), z.unknown()).nullable(),
});
export type JobEvent = z.infer<typeof jobEvent>;
