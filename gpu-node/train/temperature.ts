import { MAX_TEMPERATURE, MIN_TEMPERATURE } from '../../shared/adapter-format.ts';
import { softmax } from '../../shared/metrics.ts';

/**
 * Weight of the prior. Without it a few rows fit a temperature that harms other rows; with it the harm is small (docs/experiments.md, How
 * the defaults were chosen).
 */
const PRIOR_WEIGHT = 2;
const TOLERANCE = 1e-12;
const MAX_ITERATIONS = 200;

/**
 * The temperature that calibrates logits (Guo et al. 2017, arXiv:1706.04599): dividing every logit by it makes the labels of the validation
 * rows most probable, and moves no row to another label. The loss is convex in b = 1 / T. A gamma prior with its mode at b = 1 adds w (b -
 * ln b). So without rows the temperature is 1, few rows move it little, and rows that are all right do not drive it to 0, where every score
 * would be certain.
 * @param logits one array per row with one logit per label, read several times
 * @param actual the label of each row
 */
export function fitTemperature(logits: Iterable<ArrayLike<number>>, actual: ArrayLike<number>): number {
  let [low, high] = [1 / MAX_TEMPERATURE, 1 / MIN_TEMPERATURE];
  let inverse = 1;
  for (let i = 0; i < MAX_ITERATIONS && high - low > TOLERANCE; i++) {
    const { slope, curvature } = derivatives(logits, actual, inverse);
    const total = slope + PRIOR_WEIGHT * (1 - 1 / inverse);
    const newton = inverse - total / (curvature + PRIOR_WEIGHT / inverse ** 2);
    if (Math.abs(newton - inverse) < TOLERANCE) break;
    if (total > 0) high = inverse;
    else low = inverse;
    inverse = newton > low && newton < high ? newton : (low + high) / 2;
  }
  return 1 / inverse;
}

/** First and second derivative of the summed loss by the inverse temperature: mean minus own logit, and variance. */
function derivatives(logits: Iterable<ArrayLike<number>>, actual: ArrayLike<number>, inverse: number) {
  let [row, slope, curvature] = [0, 0, 0];
  for (const values of logits) {
    const own = values[actual[row++]!]!;
    let [mean, square] = [0, 0];
    for (const [label, probability] of softmax(values, 1 / inverse).entries()) {
      const difference = values[label]! - own;
      mean += probability * difference;
      square += probability * difference ** 2;
    }
    slope += mean;
    curvature += square - mean ** 2;
  }
  return { slope, curvature };
}
