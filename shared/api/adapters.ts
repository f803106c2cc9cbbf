import { z } from 'zod';
import { manifestEntry, sha256Hex } from '../adapter-format.ts';
import { adapterStatus } from '../job-state.ts';
import { validationMetrics } from '../metrics.ts';
import {
  basePrecision,
  hyperparameters,
  hyperparametersRequest,
  peftConfig,
  peftRequest,
} from '../peft-config.ts';
import { trainingAims } from '../training-aims.ts';
import {
  adapterName,
  adapterRef,
  fileId,
  jobId,
  metadata,
  nodeId,
  pageQuery,
  seed,
  unixSeconds,
} from './common.ts';
import { jobError } from './jobs.ts';
import { adapterTier } from './nodes.ts';
import { example, label } from './rows.ts';

export const MAX_INLINE_EXAMPLES = 2000;

const AUTO_METHOD = peftRequest.parse({ type: 'auto' });

/** `POST /v1/adapters`. A request has exactly one of `training_file` and `examples`. */
export const createAdapter = z
  .strictObject({
    name: adapterName,
    training_file: fileId.optional(),
    validation_file: fileId.optional(),
    examples: z.array(example).min(1).max(MAX_INLINE_EXAMPLES).optional(),
    validation_split: z.union([z.literal('auto'), z.number().min(0).max(0.5)]).default('auto'),
    base_model: z.string().min(1).max(128).default('default'),
    method: z.union([z.literal('auto').transform(() => AUTO_METHOD), peftRequest]).default(AUTO_METHOD),
    hyperparameters: hyperparametersRequest.default(hyperparametersRequest.parse({})),
    ...trainingAims.shape,
    seed: seed.default(42),
    metadata: metadata.default({}),
  })
  .refine((body) => (body.training_file === undefined) !== (body.examples === undefined), {
    message: 'give exactly one of training_file and examples',
    path: ['training_file'],
  });
export type CreateAdapter = z.infer<typeof createAdapter>;

/** An adapter. `method` and `hyperparameters` show the values chosen for `"auto"` once an attempt has decided them. */
export const adapter = z.object({
  object: z.literal('adapter'),
  id: adapterRef,
  name: adapterName,
  version: z.int().positive(),
  status: adapterStatus,
  base_model: z.string(),
  base_precision: z.union([basePrecision, z.literal('auto')]),
  method: z.union([peftConfig, peftRequest]),
  hyperparameters: z.union([hyperparameters, hyperparametersRequest]).nullable(),
  labels: z.array(label).nullable(),
  metrics: z.object({ validation: validationMetrics }).nullable(),
  size_bytes: z.int().nullable(),
  /** How many numbers are trained, the classifier's among them; null until an attempt has begun, and of an import. */
  trained_parameters: z.int().nullable(),
  sha256: sha256Hex.nullable(),
  /** What it consists of, by name; null until it is ready. */
  files: z.array(manifestEntry).nullable(),
  job_id: jobId.nullable(),
  seed: z.int().nullable(),
  metadata,
  created_at: unixSeconds,
  ready_at: unixSeconds.nullable(),
  error: jobError.nullable(),
  /** True in a list that leaves long fields out: labels, class weights, metrics of each label or the confusion matrix. */
  abridged: z.boolean().optional(),
  /** Nodes that hold the adapter, and the tier of each; only on a GET of one adapter. A node that does not answer in time is left out. */
  resident: z.array(z.object({ node: nodeId, tier: adapterTier })).optional(),
});
export type Adapter = z.infer<typeof adapter>;

export const adapterDeleted = z.object({
  id: adapterRef,
  object: z.literal('adapter'),
  deleted: z.literal(true),
});

export const adapterWarming = z.object({
  id: adapterRef,
  object: z.literal('adapter'),
  /** The node that loads it. */
  node: nodeId,
});

/** `POST /v1/adapters/ID/export`: the format of the adapter with its base model. */
export const exportAdapter = z.strictObject({ format: z.literal('merged') });

export const listAdaptersQuery = pageQuery.extend({
  status: adapterStatus.optional(),
  name: adapterName.optional(),
});
