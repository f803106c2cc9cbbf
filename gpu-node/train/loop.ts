import type { Progress } from '../../shared/api/jobs.ts';
import { AppError } from '../../shared/errors.ts';
import { computeMetrics, type ValidationMetrics } from '../../shared/metrics.ts';
import type { Hyperparameters } from '../../shared/peft-config.ts';
import type { Tensor } from '../../shared/safetensors.ts';
import { lengthBatches } from '../data/batches.ts';
import { Random } from '../random.ts';

import type { TrainingTask } from './graph.ts';
import { AdamW, clipGradients } from './optimizers.ts';
import { ProgressMeter } from './progress.ts';
import { pause, type RunnerOptions, type TrainingExample, TrainingRunner } from './runner.ts';
import { linearSchedule } from './schedule.ts';

/** Epochs without a better one after which training stops. */
const PATIENCE = 3;
/** By how much the loss must fall to make an epoch better than one of equal F1. */
const LOSS_GAIN = 1e-3;

export interface TrainingInput extends RunnerOptions {
  readonly task: TrainingTask;
  readonly hyperparameters: Hyperparameters;
  /** Names of the classifier's rows. */
  readonly labels: readonly string[];
  readonly training: readonly TrainingExample[];
  /** Empty where none are set aside: the last epoch is the result then. */
  readonly validation: readonly TrainingExample[];
  /** Stops training between two runs. */
  readonly signal?: AbortSignal;
  onProgress?(progress: Progress): void;
  onEpoch?(epoch: EpochResult): void;
}

export interface EpochResult {
  /** Counts from 1. */
  readonly epoch: number;
  /** Mean loss of its training batches. */
  readonly loss: number;
  readonly metrics: ValidationMetrics | null;
}

export interface TrainingOutcome {
  /** The best epoch's tensors by their names in transformers' model. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  readonly best: EpochResult;
  /** Tokens that were trained on, padding not counted. */
  readonly trainedTokens: number;
}

/**
 * Trains a task: AdamW with linear warmup and decay, clipped gradients, and a validation pass each epoch, of which the
 * best is kept. Every random choice comes from the seed: the same input gives the same tensors on the same machine.
 * @throws AppError `training_failed` where the loss is no longer a number; the signal's reason where it is aborted
 */
export async function train(input: TrainingInput): Promise<TrainingOutcome> {
  const { hyperparameters: h, training, signal } = input;
  const runner = await TrainingRunner.create(input.task, input);
  try {
    const optimizer = new AdamW(runner.parameters, { weightDecay: h.weight_decay });
    const steps = h.epochs * Math.ceil(training.length / h.batch_size);
    const learningRate = linearSchedule(h.learning_rate, Math.ceil(h.warmup_ratio * steps), steps);
    const meter = new ProgressMeter(steps, h.epochs);
    const order = new Random(input.seed, 'order');
    const lengths = training.map(({ ids }) => ids.length);
    let best: EpochResult | undefined;
    let tensors = snapshot(runner);

    for (let epoch = 1; epoch <= h.epochs; epoch++) {
      let loss = 0;
      for (const rows of lengthBatches(lengths, h.batch_size, order)) {
        const batch = rows.map((row) => training[row]!);
        await pause();
        signal?.throwIfAborted();
        const result = await runner.step(batch);
        const norm = clipGradients(result.gradients, h.max_grad_norm);
        requireFinite(result.loss + norm, h);
        optimizer.step(result.gradients, learningRate(meter.step));
        loss += (result.loss * batch.length) / training.length;
        const progress = meter.advance(tokensOf(batch), result.loss);
        input.onProgress?.(progress);
      }
      const result = { epoch, loss, metrics: await validate(runner, input) };
      input.onEpoch?.(result);
      if (!best || isBetter(result.metrics, best.metrics)) {
        best = result;
        tensors = snapshot(runner);
      }
      if (epoch - best.epoch >= PATIENCE) break;
    }
    return { tensors, best: best!, trainedTokens: meter.tokens };
  } finally {
    await runner.release();
  }
}

/** The trained tensors as they are now. */
function snapshot(runner: TrainingRunner): Map<string, Tensor> {
  return new Map(runner.parameters.map(({ name, shape, data }) => [name, { shape, data: data.slice() }]));
}

function tokensOf(batch: readonly TrainingExample[]): number {
  return batch.reduce((sum, { ids }) => sum + ids.length, 0);
}

async function validate(
  runner: TrainingRunner,
  { validation, labels, signal, hyperparameters }: TrainingInput,
): Promise<ValidationMetrics | null> {
  if (validation.length === 0) return null;
  const logits = await runner.logits(validation, signal);
  for (const row of logits) requireFinite(Math.max(...row), hyperparameters);
  return computeMetrics(
    labels,
    validation.map(({ label }) => label),
    logits,
  );
}

/** Weighted F1 decides, and between equals the loss. Without metrics, the later one. */
function isBetter(metrics: ValidationMetrics | null, best: ValidationMetrics | null): boolean {
  if (!metrics || !best) return true;
  return metrics.f1 === best.f1 ? metrics.loss < best.loss - LOSS_GAIN : metrics.f1 > best.f1;
}

function requireFinite(value: number, { learning_rate, max_grad_norm }: Hyperparameters): void {
  if (Number.isFinite(value)) return;
  throw new AppError(
    'training_failed',
    `the loss or its gradient is no longer a finite number: lower learning_rate (${learning_rate}) or max_grad_norm (${max_grad_norm})`,
    { param: 'hyperparameters.learning_rate' },
  );
}
