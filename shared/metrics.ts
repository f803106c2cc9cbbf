import { z } from 'zod';

export const labelMetrics = z.object({
  precision: z.number(),
  recall: z.number(),
  f1: z.number(),
  support: z.int().nonnegative(),
});

/**
 * Metrics on the validation rows. `precision`, `recall` and `f1` are weighted by support; `confusion_matrix[i][j]` counts
 * rows of label i classified as label j, both in the order of the adapter's `labels`.
 */
export const validationMetrics = z.object({
  examples: z.int().nonnegative(),
  loss: z.number(),
  accuracy: z.number(),
  precision: z.number(),
  recall: z.number(),
  f1: z.number(),
  f1_macro: z.number(),
  per_label: z.record(z.string(), labelMetrics),
  confusion_matrix: z.array(z.array(z.int().nonnegative())),
});
export type ValidationMetrics = z.infer<typeof validationMetrics>;

export interface Classified {
  /** The adapter's labels; `actual` and `predicted` are indices into them, one a row. */
  labels: readonly string[];
  actual: readonly number[];
  predicted: readonly number[];
  /** Mean loss over the rows. */
  loss: number;
}

/**
 * Metrics of classified rows as scikit-learn's `precision_recall_fscore_support(zero_division=0)`: a ratio without a
 * denominator is 0, and the macro average is over the labels that occur among `actual` or `predicted`.
 */
export function classificationMetrics({ labels, actual, predicted, loss }: Classified): ValidationMetrics {
  const confusion = labels.map(() => labels.map(() => 0));
  for (const [row, label] of actual.entries()) confusion[label]![predicted[row]!]! += 1;
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

/** The same from logits, one array of a logit a label for each row; the loss is cross entropy, not weighted by label. */
export function computeMetrics(
  labels: readonly string[],
  actual: readonly number[],
  logits: readonly ArrayLike<number>[],
): ValidationMetrics {
  const rows = logits.map((row) => Array.from(row));
  const predicted = rows.map((row) => row.indexOf(Math.max(...row)));
  const losses = rows.map((row, i) => logSumExp(row) - row[actual[i]!]!);
  const loss = ratio(
    losses.reduce((total, each) => total + each, 0),
    rows.length,
  );
  return classificationMetrics({ labels, actual, predicted, loss });
}

function logSumExp(values: readonly number[]): number {
  const largest = Math.max(...values);
  return largest + Math.log(values.reduce((total, value) => total + Math.exp(value - largest), 0));
}

type LabelMetrics = z.infer<typeof labelMetrics>;

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
