import { z } from 'zod';
import { jobStatus } from '../job-state.ts';
import { hyperparameters, orAuto } from '../peft-config.ts';
import { adapterName, adapterRef, fileId, jobId, metadata, pageQuery, seed, unixSeconds } from './common.ts';

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

/** Hyperparameters as OpenAI's API names them. The multiplier is of the learning rate that the method has by itself. */
const tuning = z.strictObject(
  orAuto({
    n_epochs: hyperparameters.shape.epochs,
    batch_size: hyperparameters.shape.batch_size,
    learning_rate_multiplier: z.number().positive().max(100),
  }),
);
export type Tuning = z.infer<typeof tuning>;

const supervised = z.strictObject({
  type: z.literal('supervised', 'only "supervised" trains a classifier'),
  supervised: z.strictObject({ hyperparameters: tuning.optional() }).optional(),
});

/**
 * `POST /v1/fine_tuning/jobs`, as OpenAI's SDKs send it. `suffix` is the adapter's name. Hyperparameters stand in `method`, or where they
 * stood before.
 */
export const createJob = z
  .strictObject({
    model: z.string().min(1).max(128),
    training_file: fileId,
    validation_file: fileId.nullish(),
    suffix: adapterName.nullish(),
    seed: seed.nullish(),
    metadata: metadata.nullish(),
    method: supervised.optional(),
    hyperparameters: tuning.optional(),
    integrations: z.array(z.object({})).max(0, 'there are none').nullish(),
  })
  .refine((body) => !(body.hyperparameters && body.method?.supervised?.hyperparameters), {
    message: 'give them here or in method.supervised.hyperparameters, not in both',
    path: ['hyperparameters'],
  });
export type CreateJob = z.infer<typeof createJob>;

/** A training job, in the shape of OpenAI's fine-tuning jobs. */
export const job = z.object({
  id: jobId,
  object: z.literal('fine_tuning.job'),
  model: z.string(),
  organization_id: z.string(),
  method: z.object({
    type: z.literal('supervised'),
    supervised: z.object({ hyperparameters: tuning }),
  }),
  /** Those of `method`, where clients of old look for them. */
  hyperparameters: tuning,
  user_provided_suffix: adapterName,
  integrations: z.array(z.object({})).max(0),
  metadata,
  /** The file of its loss and validation metrics by step, as CSV, once it has succeeded. */
  result_files: z.array(fileId),
  /** Predicted Unix second of its end; null unless it runs. */
  estimated_finish: unixSeconds.nullable(),
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
  error: jobError.extend({ param: z.string().nullable() }).nullable(),
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
