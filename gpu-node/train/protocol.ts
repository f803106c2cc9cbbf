import { z } from 'zod';
import { bundleManifest, sha256Hex } from '../../shared/adapter-format.ts';
import { jobError, progress } from '../../shared/api/jobs.ts';
import { nodeEvent, resolvedTraining } from '../../shared/api/nodes.ts';
import { validationMetrics } from '../../shared/metrics.ts';
import { basePrecision, hyperparametersRequest, peftRequest } from '../../shared/peft-config.ts';

/** Where training saves its state, and what it goes on from. */
export const checkpointSpec = z.strictObject({
  /** The newest state; whoever takes the file away makes room for the next. */
  file: z.string(),
  /** Milliseconds of training from one to the next. */
  interval: z.number().nonnegative(),
  /** What an earlier attempt saved. */
  resume: z.strictObject({ file: z.string(), attempt: z.int().positive(), sha256: sha256Hex }).nullable(),
});
export type CheckpointSpec = z.infer<typeof checkpointSpec>;

/**
 * What a training process must know. Every path is absolute and local: the process reads datasets that the daemon has
 * fetched, and writes the bundle's files for the daemon to upload.
 */
export const trainingSpec = z.strictObject({
  base_model: z.strictObject({
    id: z.string(),
    /** Holds config.json, tokenizer.json and model.safetensors. */
    folder: z.string(),
    sha256: sha256Hex,
    /** Where the converted weight file lies, as for `openBaseModel`. */
    weights_folder: z.string(),
  }),
  /** JSONL, one `{"text","label"}` a line. */
  training_file: z.string(),
  /** Where null, `validation_split` of the training rows are set aside. */
  validation_file: z.string().nullable(),
  validation_split: z.union([z.literal('auto'), z.number().min(0).max(0.5)]),
  method: peftRequest,
  hyperparameters: hyperparametersRequest,
  /** What `"auto"` comes to for `base_precision`, as the node measured it at its start. */
  auto_precision: basePrecision,
  /** What an earlier attempt decided; it wins over `method` and `hyperparameters`. */
  resolved: resolvedTraining.nullable(),
  seed: z.int().nonnegative(),
  /** An existing folder; receives the bundle's three files, and holds the texts' tokens while it is trained. */
  output_folder: z.string(),
  /** Nothing is saved without. */
  checkpoint: checkpointSpec.optional(),
  device: z.enum(['cpu', 'webgpu', 'cuda']),
  threads: z.int().positive(),
});
export type TrainingSpec = z.infer<typeof trainingSpec>;

/** Daemon to training process. `stop` ends it within a step, after it has saved its state; no message follows it. */
export const toTrainer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('start'), spec: trainingSpec }),
  z.strictObject({ type: z.literal('stop') }),
]);
export type ToTrainer = z.infer<typeof toTrainer>;

/**
 * Training process to daemon: `resolved` once, then `progress`, `event` and (each time its state is saved) `checkpoint`, then one of `done` (the files are in
 * `output_folder`) and `failed`. A process that ends with neither has crashed: its attempt is lost and may be retried.
 */
export const fromTrainer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('resolved'), resolved: resolvedTraining }),
  z.strictObject({ type: z.literal('progress'), progress }),
  z.strictObject({ type: z.literal('event'), event: nodeEvent }),
  z.strictObject({ type: z.literal('checkpoint') }),
  z.strictObject({
    type: z.literal('done'),
    resolved: resolvedTraining,
    manifest: bundleManifest,
    metrics: z.strictObject({ validation: validationMetrics }).nullable(),
    trained_tokens: z.int().nonnegative(),
  }),
  z.strictObject({ type: z.literal('failed'), error: jobError, retryable: z.boolean() }),
]);
export type FromTrainer = z.infer<typeof fromTrainer>;
export type TrainingEvent = Extract<FromTrainer, { type: 'event' }>['event'];
