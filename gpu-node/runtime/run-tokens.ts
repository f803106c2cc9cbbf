import type { BasePrecision } from '../../shared/peft-config.ts';

/**
 * Tokens of one run for each of its threads, padding included, for its share of a tensor to stay in its core's cache; products in float32
 * want more rows than that alone would have.
 */
export const RUN_TOKENS_PER_THREAD: Readonly<Record<BasePrecision, number>> = {
  fp32: 256,
  int8: 128,
  nf4: 256,
};
