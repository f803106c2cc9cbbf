import type { BasePrecision } from '../../shared/peft-config.ts';

/**
 * Tokens per thread in one run, padding included. A thread's share of a tensor then stays in its core's cache; float32 products want more
 * rows than that alone would give.
 */
export const RUN_TOKENS_PER_THREAD: Readonly<Record<BasePrecision, number>> = {
  fp32: 256,
  int8: 128,
  nf4: 256,
};
