import type { MethodType } from './methods/index.ts';

// What "auto" comes to in a training, as far as that is known before it: the node decides by this, and a client can show it. It imports
// nothing at run time, so that a page may have it too.

/** Hyperparameters that neither data nor method changes. */
export const AUTO_HYPERPARAMETERS = {
  warmup_ratio: 0.06,
  weight_decay: 0.01,
  max_grad_norm: 1,
  class_weights: 'none',
} as const;

/** Longest text that `max_length: "auto"` keeps whole; attention's cost grows with the square of the length. */
export const AUTO_MAX_LENGTH = 256;

/**
 * Batch size by number of examples. Small sets take smaller batches and so more steps, which reaches a higher F1 (docs/experiments.md, How
 * the defaults were chosen).
 */
export function autoBatchSize(examples: number): number {
  if (examples < 200) return 8;
  return examples < 1000 ? 16 : 32;
}

/**
 * Number of epochs by number of examples: more passes over fewer examples, such as 20 over a hundred, 10 over five hundred, 4 over five
 * thousand. Training ends earlier if passes no longer help.
 */
export function autoEpochs(examples: number): number {
  if (examples >= 20_000) return 2;
  return Math.max(3, Math.min(20, Math.round(10 * (500 / Math.max(1, examples)) ** 0.45)));
}

const AUTO_SHARE = 0.1;
const AUTO_SHARE_OF_FEW = 0.2;
const FEW = 200;
const TOO_FEW = 40;
/** Most rows that `auto` sets aside: more make an epoch's check slow and its metrics hardly more exact. */
const AUTO_MAX_ROWS = 2000;

/** Number of rows that `validation_split` sets aside. `auto` takes a tenth, or a fifth of few rows, and none of fewer than 40. */
export function validationRows(split: 'auto' | number, rows: number): number {
  if (split !== 'auto') return Math.round(split * rows);
  if (rows < TOO_FEW) return 0;
  return Math.min(AUTO_MAX_ROWS, Math.round((rows < FEW ? AUTO_SHARE_OF_FEW : AUTO_SHARE) * rows));
}

type AutoField = string | number | boolean | readonly string[];

/** What a method's fields and its learning rate come to, whatever the base model; a field that is not here follows from the base model. */
export const AUTO_FIELDS: Readonly<
  Record<MethodType, { readonly learning_rate: number } & Readonly<Record<string, AutoField>>>
> = {
  lora: {
    learning_rate: 0.001,
    r: 8,
    alpha: 16,
    dropout: 0.1,
    use_rslora: false,
    use_dora: false,
    target_modules: 'all-linear',
  },
  ia3: {
    learning_rate: 0.01,
    target_modules: ['attention.self.key', 'attention.self.value', 'output.dense'],
    feedforward_modules: ['output.dense'],
  },
  bitfit: { learning_rate: 0.001, biases: 'all' },
  road: { learning_rate: 0.01, variant: 'road_1', target_modules: 'all-linear' },
  prompt_tuning: { learning_rate: 0.01, num_virtual_tokens: 20, init: 'vocabulary' },
  p_tuning: {
    learning_rate: 0.001,
    num_virtual_tokens: 20,
    encoder: 'mlp',
    encoder_num_layers: 2,
    encoder_dropout: 0,
  },
  prefix_tuning: { learning_rate: 0.01, num_virtual_tokens: 20, prefix_projection: false, dropout: 0 },
  full: { learning_rate: 0.00005 },
  bottleneck: { learning_rate: 0.001, placement: 'pfeiffer', activation: 'relu', scaling: 1 },
  mam: {
    learning_rate: 0.001,
    num_virtual_tokens: 30,
    prefix_projection: true,
    encoder_hidden_size: 800,
    dropout: 0,
    activation: 'relu',
    scaling: 4,
  },
  unipelt: {
    learning_rate: 0.0005,
    num_virtual_tokens: 10,
    prefix_projection: true,
    encoder_hidden_size: 512,
    dropout: 0,
    activation: 'relu',
    scaling: 1,
    r: 8,
    target_modules: ['query', 'value'],
  },
};
