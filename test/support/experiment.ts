import type { Result, Run } from '../../scripts/experiment/result.ts';

/** A run of an experiment, all else as the command line leaves it. */
export function runOf(given: Partial<Run>): Run {
  return {
    configuration: 'auto',
    engine: 'weft',
    settings: { method: {}, hyperparameters: {} },
    set: 'ag_news',
    seed: 1,
    protocol: 'held-out',
    shots: null,
    limit: null,
    ...given,
  };
}

/** A finished run with this F1. */
export function resultOf({ f1, ...given }: Partial<Run> & { f1: number }): Result {
  const run = runOf(given);
  return {
    format: 1,
    key: `${run.configuration}-${run.set}-${run.seed}-${run.shots}`,
    run,
    base: { id: 'tiny', parameters: 1000 },
    code: 'c0de',
    threads: 2,
    measured: {
      resolved: { method: { r: 8 }, hyperparameters: { epochs: 2 }, labels: ['a', 'b'] },
      metrics: { examples: 100, f1, loss: 0.5, ece: 0.1 },
      epochs: [
        { epoch: 1, train_loss: 0.9, valid_loss: 0.8, valid_f1: 0.5 },
        { epoch: 2, train_loss: 0.6, valid_loss: 0.7, valid_f1: 0.6 },
      ],
      losses: [
        [0.5, 0.9],
        [1.5, 0.6],
      ],
      trainable_parameters: 50,
      trained_tokens: 1000,
      adapter_bytes: 2 ** 20,
      serving_milliseconds: 4,
      training_seconds: 60,
      tokens_per_second: 100,
      peak_bytes: 2 ** 28,
    },
  };
}
