import { z } from 'zod';
import { bundleManifest, sha256Hex } from '../../shared/adapter-format.ts';
import { jobError, progress } from '../../shared/api/jobs.ts';
import { nodeEvent, resolvedTraining } from '../../shared/api/nodes.ts';
import { validationMetrics } from '../../shared/metrics.ts';
import { basePrecision, hyperparametersRequest, peftRequest } from '../../shared/peft-config.ts';
import { trainingAims } from '../../shared/training-aims.ts';

/** Files of training's state: where it is saved, and where it resumes from. */
export const checkpointSpec = z.strictObject({
  /** File of the newest state; taking it away makes room for the next. */
  file: z.string(),
  /** Milliseconds of training between two saves. */
  interval: z.number().nonnegative(),
  /** State that an earlier attempt saved. */
  resume: z.strictObject({ file: z.string(), attempt: z.int().positive(), sha256: sha256Hex }).nullable(),
});
export type CheckpointSpec = z.infer<typeof checkpointSpec>;

/**
 * Everything that a training process must know. Every path is absolute and local: the process reads datasets that the daemon has fetched,
 * and writes the bundle's files for the daemon to upload.
 */
export const trainingSpec = z.strictObject({
  base_model: z.strictObject({
    id: z.string(),
    /** Folder with config.json, tokenizer.json and model.safetensors. */
    folder: z.string(),
    sha256: sha256Hex,
    /** Folder of the converted weight file, as for `openBaseModel`. */
    weights_folder: z.string(),
  }),
  /** JSONL file with one `{"text","label"}` per line. */
  training_file: z.string(),
  /** Validation file; null sets `validation_split` of the training rows aside, or trains in folds. */
  validation_file: z.string().nullable(),
  validation_split: z.union([z.literal('auto'), z.number().min(0).max(0.5)]),
  aims: trainingAims,
  method: peftRequest,
  hyperparameters: hyperparametersRequest,
  /** The precision that `base_precision: "auto"` means, as the node measured it at its start. */
  auto_precision: basePrecision,
  /** Decisions of an earlier attempt; they override `method` and `hyperparameters`. */
  resolved: resolvedTraining.nullable(),
  seed: z.int().nonnegative(),
  /** An existing folder. It receives the bundle's three files, and holds the texts' tokens during training. */
  output_folder: z.string(),
  /** Without it no state is saved. */
  checkpoint: checkpointSpec.optional(),
  device: z.enum(['cpu', 'webgpu', 'cuda']),
  threads: z.int().positive(),
});
export type TrainingSpec = z.infer<typeof trainingSpec>;

/** Messages from daemon to training process. `stop` ends it within a step, after it has saved its state; no message follows it. */
export const toTrainer = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('start'), spec: trainingSpec }),
  z.strictObject({ type: z.literal('stop') }),
]);
export type ToTrainer = z.infer<typeof toTrainer>;

/**
 * Messages from training process to daemon: `resolved` once, then `progress`, `event` and (each time its state is saved) `checkpoint`, then
 * one of `done` (the files are in `output_folder`) and `failed`. A process that ends with neither has crashed: its attempt is lost and may
 * be retried.
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
