import { z } from 'zod';

export const labelMetrics = z.object({
  precision: z.number(),
  recall: z.number(),
  f1: z.number(),
  support: z.int().nonnegative(),
});

/**
 * Metrics on the validation rows, from the scores as they are served. `precision`, `recall` and `f1` are weighted by support; `loss` is the
 * log loss and `ece` the expected calibration error. `confusion_matrix[i][j]` counts rows of label i classified as label j, both in the
 * order of the adapter's `labels`.
 */
export const validationMetrics = z.object({
  examples: z.int().nonnegative(),
  loss: z.number(),
  ece: z.number(),
  accuracy: z.number(),
  precision: z.number(),
  recall: z.number(),
  f1: z.number(),
  f1_macro: z.number(),
  per_label: z.record(z.string(), labelMetrics),
  confusion_matrix: z.array(z.array(z.int().nonnegative())),
});
export type ValidationMetrics = z.infer<typeof validationMetrics>;

/** The F1 that a training aims at: weighted by support, or the same weight for each label. */
export const F1_METRICS = ['f1', 'f1_macro'] as const;
export type F1Metric = (typeof F1_METRICS)[number];

export interface Classified {
  /** The adapter's labels; `actual` and `predicted` hold one index into them per row. */
  labels: readonly string[];
  actual: ArrayLike<number>;
  predicted: ArrayLike<number>;
  /** Mean loss over the rows. */
  loss: number;
  /** Expected calibration error of the rows. */
  ece: number;
}

/**
 * Metrics of classified rows, computed like scikit-learn's `precision_recall_fscore_support(zero_division=0)`: a ratio without a
 * denominator is 0, and the macro average is over the labels that occur in `actual` or `predicted`.
 */
export function classificationMetrics({
  labels,
  actual,
  predicted,
  loss,
  ece,
}: Classified): ValidationMetrics {
  const confusion = labels.map(() => labels.map(() => 0));
  for (let row = 0; row < actual.length; row++) confusion[actual[row]!]![predicted[row]!]! += 1;
  const perLabel = labels.map((_, label) => metricsOf(confusion, label));
  const right = labels.reduce((total, _, label) => total + confusion[label]![label]!, 0);
  const weighted = (of: (metrics: LabelMetrics) => number) =>
    ratio(
      perLabel.reduce((total, metrics) => total + of(metrics) * metrics.support, 0),
      actual.length,
    );
  const occurring = perLabel.filter((metrics, label) => metrics.support + columnSum(confusion, label) > 0);
  return {
    examples: actual.length,
    loss,
    ece,
    accuracy: ratio(right, actual.length),
    precision: weighted((metrics) => metrics.precision),
    recall: weighted((metrics) => metrics.recall),
    f1: weighted((metrics) => metrics.f1),
    f1_macro: ratio(
      occurring.reduce((total, { f1 }) => total + f1, 0),
      occurring.length,
    ),
    per_label: Object.fromEntries(labels.map((label, i) => [label, perLabel[i]!])),
    confusion_matrix: confusion,
  };
}

/**
 * Computes the metrics from logits, one array per row with one logit per label. They are divided by `temperature` before they become
 * scores. The loss is cross entropy, not weighted by label.
 */
export function computeMetrics(
  labels: readonly string[],
  actual: ArrayLike<number>,
  logits: Iterable<ArrayLike<number>>,
  temperature = 1,
): ValidationMetrics {
  const predicted: number[] = [];
  const confidences: number[] = [];
  let loss = 0;
  for (const row of logits) {
    const label = actual[predicted.length]!;
    const best = largestOf(row);
    loss += logSumExp(row, temperature) - row[label]! / temperature;
    confidences.push(softmax(row, temperature)[best]!);
    predicted.push(best);
  }
  const right = predicted.map((label, row) => label === actual[row]);
  const ece = expectedCalibrationError(confidences, right);
  return classificationMetrics({ labels, actual, predicted, loss: ratio(loss, predicted.length), ece });
}

/** Probabilities from logits at a temperature, in double precision. */
export function softmax(logits: ArrayLike<number>, temperature = 1): number[] {
  const largest = logits[largestOf(logits)]!;
  const exponentials = Array.from(logits, (logit) => Math.exp((logit - largest) / temperature));
  const sum = exponentials.reduce((total, each) => total + each, 0);
  return exponentials.map((each) => each / sum);
}

/** log Σ exp(logit / temperature). */
export function logSumExp(logits: ArrayLike<number>, temperature = 1): number {
  const largest = logits[largestOf(logits)]!;
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp((logits[i]! - largest) / temperature);
  return largest / temperature + Math.log(sum);
}

const CALIBRATION_BINS = 15;

/** Rows whose scores lie in (from, to]: their mean confidence and their accuracy, which are equal where the scores are right. */
export const calibrationBin = z.object({
  from: z.number(),
  to: z.number(),
  rows: z.int().nonnegative(),
  confidence: z.number(),
  accuracy: z.number(),
});
export type CalibrationBin = z.infer<typeof calibrationBin>;

/** The rows in 15 bins by the score of their predicted label; a bin without rows is left out. */
export function calibrationBins(confidences: readonly number[], right: readonly boolean[]): CalibrationBin[] {
  const sums = Array.from({ length: CALIBRATION_BINS }, () => ({ rows: 0, confidence: 0, right: 0 }));
  for (const [row, confidence] of confidences.entries()) {
    const bin = sums[Math.max(0, Math.ceil(confidence * CALIBRATION_BINS) - 1)]!;
    bin.rows += 1;
    bin.confidence += confidence;
    bin.right += Number(right[row]);
  }
  return sums.flatMap((bin, i) => {
    const { rows } = bin;
    if (rows === 0) return [];
    const bounds = { from: i / CALIBRATION_BINS, to: (i + 1) / CALIBRATION_BINS };
    return [{ ...bounds, rows, confidence: bin.confidence / rows, accuracy: bin.right / rows }];
  });
}

/**
 * Expected calibration error: the distance of confidence from accuracy (Guo et al. 2017, arXiv:1706.04599). Rows fall into 15 bins ((m - 1)
 * / 15, m / 15] by the score of their predicted label. The result is the difference between a bin's mean confidence and its accuracy,
 * averaged over bins by their rows.
 */
export function expectedCalibrationError(confidences: readonly number[], right: readonly boolean[]): number {
  const gaps = new Float64Array(CALIBRATION_BINS);
  for (const [row, confidence] of confidences.entries()) {
    const bin = Math.max(0, Math.ceil(confidence * CALIBRATION_BINS) - 1);
    gaps[bin]! += confidence - Number(right[row]);
  }
  const gap = gaps.reduce((total, each) => total + Math.abs(each), 0);
  return ratio(gap, confidences.length);
}

/** Index of the largest value; the first, if several are equal. */
export function largestOf(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! > values[best]!) best = i;
  return best;
}

export type LabelMetrics = z.infer<typeof labelMetrics>;

function metricsOf(confusion: readonly (readonly number[])[], label: number): LabelMetrics {
  const right = confusion[label]![label]!;
  const support = confusion[label]!.reduce((total, count) => total + count, 0);
  const classified = columnSum(confusion, label);
  return {
    precision: ratio(right, classified),
    recall: ratio(right, support),
    f1: ratio(2 * right, support + classified),
    support,
  };
}

function columnSum(confusion: readonly (readonly number[])[], label: number): number {
  return confusion.reduce((total, row) => total + row[label]!, 0);
}

function ratio(part: number, whole: number): number {
  return whole === 0 ? 0 : part / whole;
}
