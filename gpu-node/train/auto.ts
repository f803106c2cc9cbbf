import {
  AUTO_HYPERPARAMETERS,
  AUTO_MAX_LENGTH,
  autoBatchSize,
  autoEpochs,
} from '../../shared/auto-values.ts';
import { AppError } from '../../shared/errors.ts';
import { formatOf } from '../../shared/methods/index.ts';
import { requireTextRoom, virtualTokensOf } from '../../shared/methods/text-room.ts';
import type {
  BasePrecision,
  Hyperparameters,
  HyperparametersRequest,
  PeftConfig,
  PeftRequest,
  Pooling,
} from '../../shared/peft-config.ts';
import { methodOf } from '../methods/index.ts';
import { given } from '../methods/method.ts';
import type { Architecture } from '../models/model.ts';

/** The facts by which `"auto"` is decided. */
export interface TrainingFacts {
  /** Number of tokens of each training text before truncation, special tokens included. */
  readonly lengths: readonly number[];
  /** Architecture of the base model. */
  readonly architecture: Architecture;
  readonly poolings: readonly Pooling[];
  /** The fastest precision for training on this machine. */
  readonly fastestPrecision: BasePrecision;
}

const LENGTH_STEP = 16;

/** Replaces every `"auto"` of a method. @throws AppError if the base model cannot pool as asked */
export function resolveMethod(request: PeftRequest, facts: TrainingFacts): PeftConfig {
  const config = {
    ...methodOf(request).resolve(request, facts.architecture),
    pooling: given(request.pooling, 'mean'),
    base_precision: given(request.base_precision, facts.fastestPrecision),
  } as PeftConfig;
  if (!facts.poolings.includes(config.pooling)) {
    throw new AppError(
      'invalid_request',
      `pooling ${config.pooling}: the base model's file holds no pooler; use ${facts.poolings.join(' or ')}`,
      { param: 'method.pooling' },
    );
  }
  return config;
}

/** Replaces every `"auto"` of the hyperparameters. @throws AppError if max_length exceeds the base model's */
export function resolveHyperparameters(
  request: HyperparametersRequest,
  method: PeftConfig,
  facts: TrainingFacts,
): Hyperparameters {
  const examples = facts.lengths.length;
  const max_length = given(request.max_length, autoMaxLength(facts, virtualTokensOf(method)));
  if (max_length > facts.architecture.maxLength) {
    throw new AppError(
      'invalid_request',
      `max_length ${max_length}: the base model takes at most ${facts.architecture.maxLength} tokens`,
      { param: 'hyperparameters.max_length' },
    );
  }
  requireTextRoom(method, max_length, 'the base model', facts.architecture.maxLength);
  return {
    epochs: given(request.epochs, autoEpochs(examples)),
    batch_size: given(request.batch_size, autoBatchSize(examples)),
    learning_rate: given(request.learning_rate, formatOf(method.type).learningRate),
    max_length,
    warmup_ratio: given(request.warmup_ratio, AUTO_HYPERPARAMETERS.warmup_ratio),
    weight_decay: given(request.weight_decay, AUTO_HYPERPARAMETERS.weight_decay),
    max_grad_norm: given(request.max_grad_norm, AUTO_HYPERPARAMETERS.max_grad_norm),
    class_weights: given(request.class_weights, AUTO_HYPERPARAMETERS.class_weights),
  };
}

/** Length that leaves 98 of 100 texts whole, behind the virtual tokens. */
function autoMaxLength(
  { lengths, architecture: { maxLength } }: TrainingFacts,
  virtualTokens: number,
): number {
  const sorted = [...lengths].sort((a, b) => a - b);
  const length = sorted[Math.floor(0.98 * (sorted.length - 1))] ?? LENGTH_STEP;
  const rounded = Math.ceil(length / LENGTH_STEP) * LENGTH_STEP;
  return Math.min(virtualTokens + Math.min(rounded, AUTO_MAX_LENGTH), maxLength);
}
