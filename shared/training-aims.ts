import { z } from 'zod';
import { F1_METRICS, type F1Metric } from './metrics.ts';

/**
 * How long a training of few rows may take for a better adapter: `"thorough"` trains five times, each time without another fifth of the rows,
 * and averages; `"fast"` and `"auto"` train once.
 */
const effort = z.enum(['fast', 'auto', 'thorough']);
export type Effort = z.infer<typeof effort>;

/** The F1 that a training is to raise: weighted by the labels' rows, or the mean over the labels. `"auto"` is weighted. */
const metric = z.enum(['auto', ...F1_METRICS]);

/** What a training is asked to aim at, beside its settings. */
export const trainingAims = z.strictObject({
  effort: effort.default('auto'),
  metric: metric.default('auto'),
});
export type TrainingAims = z.infer<typeof trainingAims>;

export function metricOf({ metric: asked }: TrainingAims): F1Metric {
  return asked === 'auto' ? 'f1' : asked;
}
