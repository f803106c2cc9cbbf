import { computeMetrics, type F1Metric, largestOf, type ValidationMetrics } from '../../shared/metrics.ts';

/**
 * Shares of the way from a training's start to its end that compete, the end last (weight-space ensembles of Wortsman et al. 2022,
 * arXiv:2109.01903). The first is the start itself, a linear probe of the base model where one was fitted.
 */
export const BLENDS = [0, 0.25, 0.5, 0.75, 1] as const;

/** Sets `target` to the point at `share` of the way from `start` to `end`. */
export function blend(target: Float32Array, start: Float32Array, end: Float32Array, share: number): void {
  for (let i = 0; i < target.length; i++) target[i] = start[i]! + share * (end[i]! - start[i]!);
}

export interface BlendInput {
  readonly labels: readonly string[];
  /** The label of each row. */
  readonly actual: readonly number[];
  /** For each of `BLENDS` the rows' logits. */
  readonly logits: readonly (readonly ArrayLike<number>[])[];
  readonly metric: F1Metric;
}

export interface ChosenBlend {
  readonly share: number;
  readonly rows: readonly ArrayLike<number>[];
  readonly metrics: ValidationMetrics;
}

/**
 * The share that answers the validation rows best. The end is kept unless another is right about clearly more rows than it, by more than
 * one standard error of their difference (as McNemar's test has it); where labels count the same, rows weigh by the inverse of their
 * label's number.
 */
export function chooseBlend({ labels, actual, logits, metric }: BlendInput): ChosenBlend {
  const weights = rowWeights(actual, metric);
  const candidates = BLENDS.map((share, i): ChosenBlend & { right: boolean[] } => {
    const rows = logits[i]!;
    const right = rows.map((row, k) => largestOf(row) === actual[k]);
    return { share, rows, right, metrics: computeMetrics(labels, actual, rows) };
  });
  const end = candidates.at(-1)!;
  const better = candidates.filter(({ right }) => isClearlyBetter(right, end.right, weights));
  const { share, rows, metrics } = better.reduce(
    (best, each) => (each.metrics[metric] > best.metrics[metric] ? each : best),
    end,
  );
  return { share, rows, metrics };
}

function rowWeights(actual: readonly number[], metric: F1Metric): number[] {
  if (metric === 'f1') return actual.map(() => 1);
  const counts = new Map<number, number>();
  for (const label of actual) counts.set(label, (counts.get(label) ?? 0) + 1);
  return actual.map((label) => 1 / counts.get(label)!);
}

function isClearlyBetter(
  right: readonly boolean[],
  other: readonly boolean[],
  weights: readonly number[],
): boolean {
  let [gain, variance] = [0, 0];
  for (const [row, weight] of weights.entries()) {
    if (right[row] === other[row]) continue;
    gain += right[row] ? weight : -weight;
    variance += weight ** 2;
  }
  return gain > Math.sqrt(variance);
}
